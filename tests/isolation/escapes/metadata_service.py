"""Credentials of the machine, asked for explicitly."""

from botocore.utils import InstanceMetadataFetcher


def test_it(tunestack_sandbox):
    fetcher = InstanceMetadataFetcher(timeout=1, num_attempts=1, env={})
    assert not fetcher.retrieve_iam_role_credentials()
