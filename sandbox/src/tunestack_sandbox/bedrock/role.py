"""The role of a job: whether Bedrock may take it on, and what it may do with the job's data.

Which actions Bedrock takes is as far as AWS documents it: user guide, model-customization-iam-role and
fine-tuning-troubleshooting (read 2026-11-22), which has one text for all that keeps a file from being read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack_sandbox.callers import entity_policies
from tunestack_sandbox.iam import (
    Access,
    Decision,
    Policies,
    Principal,
    PrincipalKind,
    decide,
    statements,
)

if TYPE_CHECKING:
    from tunestack_sandbox.bedrock.state import Region

BEDROCK = "bedrock.amazonaws.com"
NOT_ASSUMED = "Could not assume provided IAM role."
_SESSION = "bedrock"
_CHECK_FILE = ".write_access_check_file.temp"
LABEL = {"tunestack-sandbox": "simulated"}
"""The S3 metadata of whatever a job writes."""


class RoleError(Exception):
    """What a job's role keeps it from doing: AWS's text, and in `why` what AWS does not tell."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class JobRole:
    """A role that Bedrock has taken on for a job."""

    def __init__(self, region: Region, arn: str, job_arn: str) -> None:
        """Take it on.

        Raises:
            RoleError: there is no such role, or it does not trust Bedrock for this job.
        """
        self._region = region
        role = region.aws.role(arn)
        if role is None:
            raise RoleError(NOT_ASSUMED, f"there is no role {arn}")
        asked = Access(
            principal=Principal(kind=PrincipalKind.SERVICE, arn=BEDROCK),
            action="sts:AssumeRole",
            resource=arn,
            account=region.account,
            context={"aws:SourceAccount": region.account, "aws:SourceArn": job_arn},
        )
        trust = statements(role["AssumeRolePolicyDocument"])
        decision = decide(asked, Policies(resource=trust, resource_decides=True))
        if not decision.allowed:
            raise RoleError(
                NOT_ASSUMED, f"the trust policy of {arn} does not let {BEDROCK} in for {job_arn}"
            )
        name = role["RoleName"]
        self._policies = entity_policies(region.aws, "role", name, role)
        self._principal = Principal(
            kind=PrincipalKind.SESSION,
            arn=f"arn:aws:sts::{region.account}:assumed-role/{name}/{_SESSION}",
            account=region.account,
            role=arn,
            keys={
                **{
                    f"aws:PrincipalTag/{tag['Key']}": [tag["Value"]] for tag in role.get("Tags", [])
                },
                "aws:userid": [f"{role['RoleId']}:{_SESSION}"],
                "aws:PrincipalType": ["AssumedRole"],
            },
        )

    def read(self, uri: str) -> bytes:
        """Read a training or validation file.

        Raises:
            RoleError: it is not there, not in the job's region, or the role may not.
        """
        bucket, key = split(uri)
        message = (
            "Could not validate GetObject permissions to access Amazon S3 bucket: "
            f"{bucket} at key {key}"
        )
        if not key or key.endswith("/"):
            raise RoleError(message, f"{uri} names no file")
        self._require_bucket(bucket, message)
        self._require_s3("s3:ListBucket", bucket, None, message, {"s3:prefix": key})
        self._require_s3("s3:GetObject", bucket, key, message)
        kms_key = self._region.aws.object_key(bucket, key)
        if kms_key is not None:
            self._require_key("kms:Decrypt", kms_key, message)
        content = self._region.aws.read(bucket, key)
        if content is None:
            raise RoleError(message, f"there is no object {uri}")
        return content

    def require_output(self, output: str, folder: str) -> None:
        """Write the file by which Bedrock finds out that it may write a job's output.

        Raises:
            RoleError: it may not, or there is no such bucket in the job's region.
        """
        self.write(output, f"{folder}/{_CHECK_FILE}", "")

    def write(self, output: str, name: str, content: str) -> None:
        """Write a file below a job's output location.

        Raises:
            RoleError: the role may not, or there is no such bucket in the job's region.
        """
        bucket, prefix = split(output)
        key = f"{prefix.removesuffix('/')}/{name}".lstrip("/")
        message = (
            "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions "
            f"to access S3 bucket: {bucket} at key {key}"
        )
        self._require_bucket(bucket, message)
        self._require_s3("s3:PutObject", bucket, key, message)
        kms_key = self._region.aws.bucket_key(bucket)
        if kms_key is not None:
            self._require_key("kms:GenerateDataKey", kms_key, message)
        self._region.aws.write(bucket, key, content, LABEL)

    def _require_bucket(self, bucket: str, message: str) -> None:
        place = self._region.aws.bucket_region(bucket)
        if place is None:
            raise RoleError(message, f"there is no bucket {bucket}")
        if place != self._region.name:
            raise RoleError(
                message, f"bucket {bucket} is in {place}, the job in {self._region.name}"
            )

    def _require_s3(
        self,
        action: str,
        bucket: str,
        key: str | None,
        message: str,
        context: dict[str, str] | None = None,
    ) -> None:
        resource = f"arn:aws:s3:::{bucket}" + ("" if key is None else f"/{key}")
        policy = self._region.aws.bucket_policy(bucket)
        self._require(
            action,
            resource,
            message,
            policy=policy,
            decides=False,
            context={
                "s3:ResourceAccount": self._region.account,
                "s3:TlsVersion": "1.3",
                **(context or {}),
            },
        )

    def _require_key(self, action: str, key: str, message: str) -> None:
        """Require what S3 needs of the KMS key on the role's behalf."""
        policy = self._region.aws.key_policy(key)
        if policy is None:
            raise RoleError(message, f"there is no key {key}")
        context = {
            "kms:ViaService": f"s3.{self._region.name}.amazonaws.com",
            "kms:CallerAccount": self._region.account,
        }
        self._require(action, key, message, policy=policy, decides=True, context=context)

    def _require(
        self,
        action: str,
        resource: str,
        message: str,
        *,
        policy: str | None,
        decides: bool,
        context: dict[str, str],
    ) -> None:
        decision = self._decide(action, resource, policy=policy, decides=decides, context=context)
        if not decision.allowed:
            raise RoleError(message, decision.message())

    def _decide(
        self,
        action: str,
        resource: str,
        *,
        policy: str | None,
        decides: bool,
        context: dict[str, str],
    ) -> Decision:
        access = Access(
            principal=self._principal,
            action=action,
            resource=resource,
            account=self._region.account,
            context={**self._region.request_keys(), **context},
        )
        policies = Policies(
            identity=self._policies.identity,
            boundary=self._policies.boundary,
            resource=None if policy is None else statements(policy),
            resource_decides=decides,
        )
        return decide(access, policies)


def split(uri: str) -> tuple[str, str]:
    """Split an S3 URI into bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
