"""The IAM role of a job: whether Bedrock can assume it, and its access to the job's files.

The actions are those that AWS documents: user guide, model-customization-iam-role and fine-tuning-troubleshooting (read
2026-11-22), which has one message for all reasons why a file can't be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack_sandbox.authentication import read_entity_policies
from tunestack_sandbox.iam import (
    AccessRequest,
    Policies,
    Principal,
    PrincipalKind,
    decide,
    parse_statements,
)

if TYPE_CHECKING:
    from tunestack_sandbox.bedrock.state import Region

BEDROCK_PRINCIPAL = "bedrock.amazonaws.com"
NOT_ASSUMED = "Could not assume provided IAM role."
_SESSION_NAME = "bedrock"
_CHECK_FILE = ".write_access_check_file.temp"
_OBJECT_METADATA = {"tunestack-sandbox": "simulated"}
"""The S3 metadata of the files that a job writes."""


class RoleError(Exception):
    """The role can't be assumed, or lacks a permission. Has AWS's message, and the reason that AWS does not return."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class JobRole:
    """The role of a job, assumed by Bedrock."""

    def __init__(self, region: Region, arn: str, job_arn: str) -> None:
        """Assume the role.

        Raises:
            RoleError: The role does not exist, or its trust policy does not allow Bedrock to assume it for this job.
        """
        self._region = region
        role = region.client.read_role(arn)
        if role is None:
            raise RoleError(NOT_ASSUMED, f"role {arn} does not exist")
        request = AccessRequest(
            principal=Principal(kind=PrincipalKind.SERVICE, arn=BEDROCK_PRINCIPAL),
            action="sts:AssumeRole",
            resource=arn,
            account=region.account,
            context={"aws:SourceAccount": region.account, "aws:SourceArn": job_arn},
        )
        trust = parse_statements(role["AssumeRolePolicyDocument"])
        decision = decide(request, Policies(resource=trust, requires_resource_policy=True))
        if not decision.allowed:
            raise RoleError(
                NOT_ASSUMED,
                f"the trust policy of {arn} does not allow {BEDROCK_PRINCIPAL} for {job_arn}",
            )
        name = role["RoleName"]
        self._policies = read_entity_policies(region.client, "role", name, role)
        self._principal = Principal(
            kind=PrincipalKind.SESSION,
            arn=f"arn:aws:sts::{region.account}:assumed-role/{name}/{_SESSION_NAME}",
            account=region.account,
            role=arn,
            condition_keys={
                **{
                    f"aws:PrincipalTag/{tag['Key']}": [tag["Value"]] for tag in role.get("Tags", [])
                },
                "aws:userid": [f"{role['RoleId']}:{_SESSION_NAME}"],
                "aws:PrincipalType": ["AssumedRole"],
            },
        )

    def read_file(self, uri: str) -> bytes:
        """Read a training or validation file.

        Raises:
            RoleError: The file does not exist, is in another region, or the role lacks a permission.
        """
        bucket, key = _split_uri(uri)
        message = (
            "Could not validate GetObject permissions to access Amazon S3 bucket: "
            f"{bucket} at key {key}"
        )
        if not key or key.endswith("/"):
            raise RoleError(message, f"{uri} is not the URI of a file")
        self._require_bucket(bucket, message)
        self._require_s3_action("s3:ListBucket", bucket, None, message, {"s3:prefix": key})
        self._require_s3_action("s3:GetObject", bucket, key, message)
        kms_key = self._region.client.find_object_key(bucket, key)
        if kms_key is not None:
            self._require_kms_action("kms:Decrypt", kms_key, message)
        content = self._region.client.read_object(bucket, key)
        if content is None:
            raise RoleError(message, f"object {uri} does not exist")
        return content

    def check_output(self, output: str, folder: str) -> None:
        """Write the file with which Bedrock checks that it can write a job's output.

        Raises:
            RoleError: The bucket does not exist, is in another region, or the role lacks a permission.
        """
        self.write_file(output, f"{folder}/{_CHECK_FILE}", "")

    def write_file(self, output: str, name: str, content: str) -> None:
        """Write a file below a job's output location.

        Raises:
            RoleError: The bucket does not exist, is in another region, or the role lacks a permission.
        """
        bucket, prefix = _split_uri(output)
        key = f"{prefix.removesuffix('/')}/{name}".lstrip("/")
        message = (
            "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions "
            f"to access S3 bucket: {bucket} at key {key}"
        )
        self._require_bucket(bucket, message)
        self._require_s3_action("s3:PutObject", bucket, key, message)
        kms_key = self._region.client.find_bucket_key(bucket)
        if kms_key is not None:
            self._require_kms_action("kms:GenerateDataKey", kms_key, message)
        self._region.client.write_object(bucket, key, content, _OBJECT_METADATA)

    def _require_bucket(self, bucket: str, message: str) -> None:
        region = self._region.client.find_bucket_region(bucket)
        if region is None:
            raise RoleError(message, f"bucket {bucket} does not exist")
        if region != self._region.name:
            raise RoleError(
                message, f"bucket {bucket} is in {region}, the job in {self._region.name}"
            )

    def _require_s3_action(
        self,
        action: str,
        bucket: str,
        key: str | None,
        message: str,
        context: dict[str, str] | None = None,
    ) -> None:
        resource = f"arn:aws:s3:::{bucket}" + ("" if key is None else f"/{key}")
        policy = self._region.client.read_bucket_policy(bucket)
        self._require(
            action,
            resource,
            message,
            policy=policy,
            requires_resource_policy=False,
            context={
                "s3:ResourceAccount": self._region.account,
                "s3:TlsVersion": "1.3",
                **(context or {}),
            },
        )

    def _require_kms_action(self, action: str, key: str, message: str) -> None:
        """Check the permission that S3 requires on the object's KMS key."""
        policy = self._region.client.read_key_policy(key)
        if policy is None:
            raise RoleError(message, f"key {key} does not exist")
        context = {
            "kms:ViaService": f"s3.{self._region.name}.amazonaws.com",
            "kms:CallerAccount": self._region.account,
        }
        self._require(
            action, key, message, policy=policy, requires_resource_policy=True, context=context
        )

    def _require(
        self,
        action: str,
        resource: str,
        message: str,
        *,
        policy: str | None,
        requires_resource_policy: bool,
        context: dict[str, str],
    ) -> None:
        request = AccessRequest(
            principal=self._principal,
            action=action,
            resource=resource,
            account=self._region.account,
            context={**self._region.condition_keys(), **context},
        )
        policies = Policies(
            identity=self._policies.identity,
            boundary=self._policies.boundary,
            resource=None if policy is None else parse_statements(policy),
            requires_resource_policy=requires_resource_policy,
        )
        decision = decide(request, policies)
        if not decision.allowed:
            raise RoleError(message, decision.message())


def _split_uri(uri: str) -> tuple[str, str]:
    """Split an S3 URI into bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
