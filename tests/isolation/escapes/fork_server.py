"""A server that processes are forked from, started before the test."""

import multiprocessing
from multiprocessing.forkserver import ensure_running

CONTEXT = multiprocessing.get_context("forkserver")

if multiprocessing.parent_process() is None:  # the forked process imports this module too
    ensure_running()


def ask(_):
    import boto3

    try:
        boto3.client("bedrock").list_custom_models()
    except Exception as error:
        print(error)


def test_it(tunestack_sandbox):
    with CONTEXT.Pool(1) as pool:
        pool.map(ask, [0])
