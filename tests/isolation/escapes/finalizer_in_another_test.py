"""A fixture of the module that is torn down after a test that does not use the sandbox."""

import boto3
import pytest


@pytest.fixture(scope="module")
def client():
    yield
    boto3.client("bedrock").list_custom_models()


def test_it(tunestack_sandbox, client):
    pass


def test_of_something_else():
    pass
