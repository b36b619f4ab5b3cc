"""A thread of the test's own that creates a client when the test is over."""

import threading
import time

import boto3

THREADS: list[threading.Thread] = []


def later():
    time.sleep(1)
    try:
        boto3.client("bedrock").list_custom_models()
    except Exception as error:
        print(error)


def test_it(tunestack_sandbox):
    THREADS.append(threading.Thread(target=later))
    THREADS[0].start()


def test_of_something_else():
    THREADS[0].join()
