"""A test that clears the environment: what is left are the files in the home folder and the metadata service."""

import os
from unittest.mock import patch

import boto3


def test_it(tunestack_sandbox):
    with patch.dict(os.environ, {"HOME": os.environ["HOME"]}, clear=True):
        boto3.client("bedrock", "us-east-1").list_custom_models()
