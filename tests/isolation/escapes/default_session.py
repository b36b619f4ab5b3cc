"""boto3's default session, set up for a profile of a real account."""

import boto3

boto3.setup_default_session(profile_name="real")
boto3.client("sts")


def test_it(tunestack_sandbox):
    boto3.client("bedrock").list_custom_models()
    session = boto3.DEFAULT_SESSION
    assert session is not None
    session.client("sts").get_caller_identity()
