"""A client of the emulated AWS services, for the sandbox itself."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ACCOUNT_SECRET = "sandbox"  # noqa: S105 - of no real account
"""The secret access key of all access keys that are the number of an account."""

# botocore's session variables: name in the configuration file, environment variable, default, conversion.
_SESSION_VARIABLES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
}


class UnknownPolicyError(Exception):
    """An attached managed policy does not exist."""


class EmulatorClient:
    """Reads and writes resources in one region of one account."""

    def __init__(
        self,
        url: str,
        account: str,
        region: str,
        *,
        certificate: Path | None = None,
        read: Callable[..., Any],
    ) -> None:
        """Initialize the client.

        Args:
            url: The URL of the emulator.
            account: The account. The emulator takes an access key of 12 digits for the account's root.
            region: The region.
            certificate: The file of the emulator's certificate, with TLS.
            read: Runs a command in the emulator's process, see `Emulator.run`.
        """
        self._account = account
        self._read = read
        self._url = url
        self._region = region
        self._certificate = certificate
        self._session: Any = boto3.Session(
            # Independent of the user's profile and configuration files.
            botocore_session=botocore.session.Session(session_vars=_SESSION_VARIABLES),
            aws_access_key_id=account,
            aws_secret_access_key=ACCOUNT_SECRET,
            region_name=region,
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self._url,
                verify=self._certificate and str(self._certificate),
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 2},  # the emulator may close an idle connection
                    proxies={},  # not those of the environment
                ),
            )
        return self._clients[service]

    def read_object(self, bucket: str, key: str) -> bytes | None:
        """Return the content of an S3 object; `None` if it does not exist."""
        try:
            response = self.client("s3").get_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        content: bytes = response["Body"].read()
        return content

    def write_object(
        self, bucket: str, key: str, content: str, metadata: Mapping[str, str]
    ) -> None:
        """Write an S3 object."""
        self.client("s3").put_object(
            Bucket=bucket, Key=key, Body=content.encode(), Metadata=dict(metadata)
        )

    def find_object_key(self, bucket: str, key: str) -> str | None:
        """Return the ARN of the KMS key that an S3 object is encrypted with, if there is one."""
        try:
            head = self.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        arn: str | None = head.get("SSEKMSKeyId")
        return arn

    def find_bucket_key(self, bucket: str) -> str | None:
        """Return the ARN of the KMS key that a bucket encrypts new objects with, if there is one."""
        rules = self.client("s3").get_bucket_encryption(Bucket=bucket)
        for rule in rules["ServerSideEncryptionConfiguration"]["Rules"]:
            default = rule.get("ApplyServerSideEncryptionByDefault", {})
            if key := default.get("KMSMasterKeyID"):
                return self.find_key_arn(key) or str(key)
        return None

    def find_bucket_region(self, bucket: str) -> str | None:
        """Return the region of a bucket; `None` if it does not exist."""
        try:
            response = self.client("s3").get_bucket_location(Bucket=bucket)
        except ClientError:
            return None
        return response.get("LocationConstraint") or "us-east-1"

    def read_bucket_policy(self, bucket: str) -> str | None:
        """Return the policy of a bucket, if it has one."""
        try:
            policy: str = self.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError:
            return None
        return policy

    def find_key_arn(self, key: str) -> str | None:
        """Return the ARN of a KMS key by its id, alias or ARN; `None` if it does not exist."""
        try:
            arn: str = self.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        except ClientError:
            return None
        return arn

    def read_key_policy(self, key: str) -> str | None:
        """Return the policy of a KMS key; `None` if the key does not exist."""
        try:
            response = self.client("kms").get_key_policy(KeyId=key, PolicyName="default")
        except ClientError:
            return None
        policy: str = response["Policy"]
        return policy

    def read_role(self, arn: str) -> dict[str, Any] | None:
        """Return a role by its ARN; `None` if it does not exist."""
        role = self.read_entity("role", arn.rsplit("/", 1)[-1])
        return role if role is not None and role["Arn"] == arn else None

    def read_entity(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a `user` or `role` by its name; `None` if it does not exist."""
        entity: dict[str, Any] | None = self._read(
            "read-entity", account=self._account, kind=kind, name=name
        )
        return entity

    def read_identity_policies(self, kind: str, name: str) -> list[dict[str, Any]]:
        """Return the documents of all inline and attached policies of a `role`, `user` or `group`.

        Those of a user include the policies of its groups.
        """
        policies = self._read("read-identity-policies", account=self._account, kind=kind, name=name)
        return [_parse_document(document, policy) for policy, document in policies]

    def read_managed_policy(self, arn: str) -> dict[str, Any]:
        """Return the document of a managed policy in its default version.

        Raises:
            UnknownPolicyError: The policy does not exist, or is an AWS managed policy that the emulator does not have.
        """
        document = self._read("read-managed-policy", account=self._account, arn=arn)
        return _parse_document(document, arn)


def _parse_document(value: Any, policy: str) -> dict[str, Any]:
    if value is None:
        raise UnknownPolicyError(f"the sandbox does not have the policy {policy}")
    document: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return document
