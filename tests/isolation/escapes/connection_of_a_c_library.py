"""A connection that no Python code makes."""

import ctypes
import socket
import struct


def test_it(tunestack_sandbox):
    address = struct.pack(
        "=HH4s8x", socket.AF_INET, socket.htons(443), socket.inet_aton("198.51.100.1")
    )
    libc = ctypes.CDLL(None)
    descriptor = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    libc.connect(descriptor, address, len(address))
