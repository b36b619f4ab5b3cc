"""The only address that anything of the sandbox listens on."""

LOOPBACK = "127.0.0.1"
