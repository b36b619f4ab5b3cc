"""A test that undoes all of its patches half-way."""

import boto3


def test_it(tunestack_sandbox, monkeypatch):
    monkeypatch.setenv("MINE", "1")
    monkeypatch.undo()
    boto3.client("bedrock").list_custom_models()
