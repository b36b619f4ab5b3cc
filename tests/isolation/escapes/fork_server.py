"""A server that processes are forked from, started before the test."""

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")


def ask(_):
    import boto3

    try:
        boto3.client("bedrock").list_custom_models()
    except Exception as error:
        print(error)


def nothing(_):
    pass


with CONTEXT.Pool(1) as started:
    started.map(nothing, [0])


def test_it(tunestack_sandbox):
    with CONTEXT.Pool(1) as pool:
        pool.map(ask, [0])
