"""A client that a module creates when it is imported."""

import boto3

CLIENT = boto3.client("bedrock")


def test_it(tunestack_sandbox):
    CLIENT.list_custom_models()
