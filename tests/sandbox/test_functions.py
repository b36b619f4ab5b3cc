"""Errors of Lambda functions: their types are those of AWS, by which state machines retry."""

import io
import json
import zipfile

import boto3
import pytest

ENDS = "import os; os._exit(1)"
RAISES = "raise KeyError('nothing')"


@pytest.fixture
def create(sandbox):
    """Return a function that creates a Lambda function from code."""
    client = boto3.client("lambda")

    def create_function(code):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("code.py", code)
        client.create_function(
            FunctionName="fails",
            Runtime="python3.11",
            Role="arn:aws:iam::123456789012:role/fails",
            Handler="code.handler",
            Code={"ZipFile": archive.getvalue()},
        )

    yield create_function
    client.delete_function(FunctionName="fails")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (f"{ENDS}\n", "Runtime.ExitError"),
        (f"def handler(event, context):\n    {ENDS}\n", "Runtime.ExitError"),
        (f"def handler(event, context):\n    {RAISES}\n", "KeyError"),
    ],
    ids=["ends at its start", "ends", "raises"],
)
def test_error_has_the_type_of_aws(create, code, kind):
    """Source: Lambda developer guide, python-exceptions (read 2026-11-29)."""
    create(code)
    response = boto3.client("lambda").invoke(FunctionName="fails")
    assert response["FunctionError"]
    assert json.loads(response["Payload"].read())["errorType"] == kind
