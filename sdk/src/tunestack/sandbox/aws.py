"""The sandbox's own look at the rest of AWS: what the emulator holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Name in the configuration file, environment variable, default, conversion.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


class Aws:
    """Reads and writes in one region of one account of the emulator."""

    def __init__(self, url: str, account: str, region: str) -> None:
        """Take where the emulator answers; an access key of twelve digits is the account there."""
        self._url = url
        self._region = region
        self._session: Any = boto3.Session(
            # Whatever profile the caller works with is none of the sandbox's business.
            botocore_session=botocore.session.Session(session_vars=_NO_PROFILE),
            aws_access_key_id=account,
            aws_secret_access_key="sandbox",  # noqa: S106 - of no account
            region_name=region,
        )
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self._url,
                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    def read(self, uri: str) -> bytes | None:
        """Read an object; `None` when it is not there."""
        bucket, key = _split(uri)
        try:
            answer = self.client("s3").get_object(Bucket=bucket, Key=key)
        except ClientError:
            return None
        content: bytes = answer["Body"].read()
        return content

    def write(self, uri: str, content: str, metadata: Mapping[str, str]) -> bool:
        """Write an object; tells whether it could be written."""
        bucket, key = _split(uri)
        try:
            self.client("s3").put_object(
                Bucket=bucket, Key=key, Body=content.encode(), Metadata=dict(metadata)
            )
        except ClientError:
            return False
        return True

    def has_role(self, arn: str) -> bool:
        """Tell whether a role exists."""
        try:
            role = self.client("iam").get_role(RoleName=arn.rsplit("/", 1)[1])["Role"]
        except ClientError:
            return False
        return bool(role["Arn"] == arn)

    def bucket_region(self, bucket: str) -> str | None:
        """Tell where a bucket is; `None` when there is none."""
        try:
            answer = self.client("s3").get_bucket_location(Bucket=bucket)
        except ClientError:
            return None
        return answer.get("LocationConstraint") or "us-east-1"


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
