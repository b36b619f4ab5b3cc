"""The sandbox's own look at the rest of AWS: what the emulator holds."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SECRET = "sandbox"  # noqa: S105 - of no account
"""The secret of every access key that names an account."""

# Name in the configuration file, environment variable, default, conversion.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
}


class UnknownPolicyError(Exception):
    """A policy is attached, and there is none of the name."""


class Aws:
    """Reads and writes in one region of one account of the emulator."""

    def __init__(
        self, url: str, account: str, region: str, certificate: Path | None = None
    ) -> None:
        """Take where the emulator answers; an access key of twelve digits is the account there."""
        self._url = url
        self._region = region
        self._certificate = certificate
        self._session: Any = boto3.Session(
            # Whatever profile the caller works with is none of the sandbox's business.
            botocore_session=botocore.session.Session(session_vars=_NO_PROFILE),
            aws_access_key_id=account,
            aws_secret_access_key=SECRET,
            region_name=region,
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self._url,
                verify=self._certificate and str(self._certificate),
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 2},  # it may close an idle connection just now
                    proxies={},  # those of the environment lead elsewhere
                ),
            )
        return self._clients[service]

    def read(self, bucket: str, key: str) -> bytes | None:
        """Read an object; `None` when it is not there."""
        try:
            answer = self.client("s3").get_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        content: bytes = answer["Body"].read()
        return content

    def write(self, bucket: str, key: str, content: str, metadata: Mapping[str, str]) -> None:
        """Write an object into a bucket that is there."""
        self.client("s3").put_object(
            Bucket=bucket, Key=key, Body=content.encode(), Metadata=dict(metadata)
        )

    def object_key(self, bucket: str, key: str) -> str | None:
        """Tell the ARN of the KMS key that an object is encrypted with; `None` without one."""
        try:
            head = self.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        found: str | None = head.get("SSEKMSKeyId")
        return found

    def bucket_key(self, bucket: str) -> str | None:
        """Tell the ARN of the KMS key that new objects of a bucket are encrypted with; `None` without one."""
        rules = self.client("s3").get_bucket_encryption(Bucket=bucket)
        for rule in rules["ServerSideEncryptionConfiguration"]["Rules"]:
            default = rule.get("ApplyServerSideEncryptionByDefault", {})
            if default.get("KMSMasterKeyID"):
                return self.key_arn(default["KMSMasterKeyID"]) or str(default["KMSMasterKeyID"])
        return None

    def bucket_region(self, bucket: str) -> str | None:
        """Tell where a bucket is; `None` when there is none."""
        try:
            answer = self.client("s3").get_bucket_location(Bucket=bucket)
        except ClientError:
            return None
        return answer.get("LocationConstraint") or "us-east-1"

    def bucket_policy(self, bucket: str) -> str | None:
        """Read the policy of a bucket; `None` when it has none."""
        try:
            policy: str = self.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError:
            return None
        return policy

    def key_arn(self, key: str) -> str | None:
        """Tell the ARN of a KMS key by its id, alias or ARN; `None` when there is no such key."""
        try:
            arn: str = self.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        except ClientError:
            return None
        return arn

    def key_policy(self, key: str) -> str | None:
        """Read the policy of a KMS key; `None` when there is no such key."""
        try:
            answer = self.client("kms").get_key_policy(KeyId=key, PolicyName="default")
        except ClientError:
            return None
        policy: str = answer["Policy"]
        return policy

    def role(self, arn: str) -> dict[str, Any] | None:
        """Read a role; `None` when there is none with this ARN."""
        found = self.entity("role", arn.rsplit("/", 1)[-1])
        return found if found is not None and found["Arn"] == arn else None

    def entity(self, kind: str, name: str) -> dict[str, Any] | None:
        """Read a `user` or `role` by its name; `None` when there is none."""
        try:
            answer = getattr(self.client("iam"), f"get_{kind}")(**{f"{kind.title()}Name": name})
        except ClientError:
            return None
        found: dict[str, Any] = answer[kind.title()]
        return found

    def identity_policies(self, kind: str, name: str) -> list[dict[str, Any]]:
        """Read the documents of all policies of a `role`, `user` or `group`, inline and attached; a user's groups' too."""
        iam = self.client("iam")
        asked = {f"{kind.title()}Name": name}
        documents = [
            _document(
                getattr(iam, f"get_{kind}_policy")(**asked, PolicyName=policy)["PolicyDocument"]
            )
            for policy in self._all(f"list_{kind}_policies", "PolicyNames", asked)
        ]
        documents += [
            self.managed_policy(policy["PolicyArn"])
            for policy in self._all(f"list_attached_{kind}_policies", "AttachedPolicies", asked)
        ]
        if kind == "user":
            for group in self._all("list_groups_for_user", "Groups", asked):
                documents += self.identity_policies("group", group["GroupName"])
        return documents

    def managed_policy(self, arn: str) -> dict[str, Any]:
        """Read the document of a managed policy, its default version.

        Raises:
            UnknownPolicyError: there is none, or it is one of AWS's own that the emulator does not have.
        """
        iam = self.client("iam")
        try:
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        except ClientError as error:
            raise UnknownPolicyError(f"the sandbox does not know the policy {arn}") from error
        return _document(answer["PolicyVersion"]["Document"])

    def _all(self, operation: str, member: str, asked: Mapping[str, str]) -> Iterable[Any]:
        for page in self.client("iam").get_paginator(operation).paginate(**asked):
            yield from page[member]


def _document(found: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
    return document
