"""A fixture that is set up before those of the test, for the whole session."""

from typing import Any

import boto3
import pytest

CREATED: list[Any] = []


@pytest.fixture(scope="session", autouse=True)
def client():
    CREATED.append(boto3.client("bedrock"))
    yield
    boto3.client("bedrock").list_custom_models()


def test_it(tunestack_sandbox):
    CREATED[0].list_custom_models()
