"""Read settings from environment variables, and refuse a value in another notation with the right one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, DeploymentError, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d{1,2}")
"""The code of an AWS region: `us-east-1`, `us-gov-west-1`, `cn-north-1`."""
_QUOTES = ("''", '""', "\u2018\u2019", "\u201c\u201d")
# S3 user guide, bucketnamingrules, read 2026-11-28.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_LOCATION = re.compile(
    r"(?:s3://|arn:aws[a-z-]*:s3:::)?(?P<bucket>[^/:]+)(?:/+(?P<key>.*))?"
)
_BUCKET_URL = re.compile(
    r"https?://(?P<bucket>[a-z0-9.-]+)\.s3[.-][a-z0-9.-]*amazonaws\.com(?P<key>.*)"
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.*")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")


def read(environment: Mapping[str, str], name: str) -> str | None:
    """Return the value of a variable without the spaces and quotes around it; `None` if nothing is left."""
    value = environment.get(name, "").strip()
    if len(value) > 1 and value[0] + value[-1] in _QUOTES:
        value = value[1:-1].strip()
    return value or None


def bucket_name(name: str, value: str) -> str:
    """Return the bucket of a setting: its name, `s3://<name>` or its ARN.

    Raises:
        DeploymentError: it is not a bucket; the message has the right value.
    """
    location = _BUCKET_URL.fullmatch(value) or _BUCKET_LOCATION.fullmatch(value)
    bucket = location["bucket"] if location else ""
    if not _BUCKET.fullmatch(bucket):
        raise DeploymentError(
            f"invalid {name} {shortened(value)}: set it to the name of a bucket "
            "(3 to 63 lower-case letters, digits, dots and hyphens)"
        )
    if value.startswith("http"):
        raise DeploymentError(
            f"invalid {name} {shortened(value)}: it is a URL: set {name}={bucket}"
        )
    if location and location["key"]:
        raise DeploymentError(
            f"invalid {name} {shortened(value)}: it has the prefix {shortened(location['key'])} after the bucket: "
            f'set {name}={bucket}, and specify s3_path="s3://{bucket}/{location["key"]}" to put the data there'
        )
    return bucket


def role_account(name: str, value: str) -> str:
    """Return the account of a role, by its ARN.

    Raises:
        DeploymentError: it is not the ARN of a role; the message has the right value.
    """
    if role := _ROLE.fullmatch(value):
        return role[1]
    expected = "set it to arn:aws:iam::<account>:role/<name>"
    if session := _SESSION.fullmatch(value):
        partition, account, role_name = session.groups()
        expected = f"it is a session of the role: set {name}=arn:{partition}:iam::{account}:role/{role_name}"
    elif _ROLE_NAME.fullmatch(value):
        expected = (
            f"it is the name of the role: set {name}=arn:aws:iam::<account>:role/{value} "
            f"(`aws iam get-role --role-name {value} --query Role.Arn` prints it)"
        )
    raise DeploymentError(
        f"invalid {name} {shortened(value)}: it is not the ARN of a role: {expected}"
    )


def region_code(name: str, value: str) -> str:
    """Return the code of a region.

    Raises:
        ConfigError: it is not one; the message has the right value. It is not corrected here, because boto3 and litellm read
            the same variables.
    """
    if REGION.fullmatch(value):
        return value
    code = REGION.match(
        value.strip().strip("'\"\u2018\u2019\u201c\u201d").strip().lower().replace("_", "-")
    )
    if code is None:
        raise ConfigError(
            f"invalid {name} {shortened(value)}: set it to the code of an AWS region, such as us-east-1"
        )
    is_zone = value[: code.end()] == code[0]
    reason = ": it is an availability zone" if is_zone else ""
    raise ConfigError(f"invalid {name} {shortened(value)}{reason}: set {name}={code[0]}")
