"""Users of a sandbox that enforces IAM."""

import json

import boto3

from tests.conftest import root


class User:
    """A user who has no permission at first."""

    def __init__(self, sandbox, name):
        """Create the user and its access key."""
        self._name, self._variables, self._iam = name, sandbox.variables(), root(sandbox, "iam")
        self._iam.create_user(UserName=name)
        self._key = self._iam.create_access_key(UserName=name)["AccessKey"]

    def create_client(self, service, variable):
        """Create a client with the user's key; the variable has the address of the service."""
        return boto3.client(
            service,
            "us-east-1",
            endpoint_url=self._variables[variable],
            verify=self._variables["AWS_CA_BUNDLE"],
            aws_access_key_id=self._key["AccessKeyId"],
            aws_secret_access_key=self._key["SecretAccessKey"],
        )

    def allow(self, action):
        """Allow an action on all resources."""
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.put_user_policy(UserName=self._name, PolicyName="read", PolicyDocument=policy)
