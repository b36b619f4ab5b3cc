"""Conditions that several policies share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws

if TYPE_CHECKING:
    from collections.abc import Mapping


def in_own_account() -> Mapping[str, Mapping[str, str]]:
    """The resource belongs to this account: a bucket's name can be taken by a stranger once it is deleted."""
    return {"StringEquals": {"aws:ResourceAccount": Aws.ACCOUNT_ID}}


def through_s3() -> Mapping[str, Mapping[str, str]]:
    """The key is used by S3 on the caller's behalf, in this region, and in no other way."""
    return {"StringEquals": {"kms:ViaService": f"s3.{Aws.REGION}.{Aws.URL_SUFFIX}"}}
