"""Conditions that several policies share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws

from tunestack.deployment import STAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    Conditions = Mapping[str, Mapping[str, object]]


def in_own_account() -> Conditions:
    """The resource belongs to this account: a bucket's name can be taken by a stranger once it is deleted."""
    return {"StringEquals": {"aws:ResourceAccount": Aws.ACCOUNT_ID}}


def through(service: str) -> Conditions:
    """The key is used by a service on the caller's behalf, in this region, and in no other way."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}}


def of_stage(stage: str) -> Conditions:
    """The resource carries no other stage's tag.

    Not `StringEquals`: that Bedrock passes on the tags of what is stopped or deleted is listed in the service authorization
    reference and shown nowhere; if it does not, nobody could stop what is billed (ADR 10).
    """
    return {"StringEqualsIfExists": {f"aws:ResourceTag/{STAGE_TAG}": stage}}


def only_of_stage(stage: str) -> Conditions:
    """The resource carries this stage's tag; without any tag, or if Bedrock passes none on, the request is denied.

    For what cannot be restored. A custom model that the policy does not let go costs its storage, and an administrator
    can delete it.
    """
    return {"StringEquals": {f"aws:ResourceTag/{STAGE_TAG}": stage}}


def for_stage(stage: str) -> Conditions:
    """What is made gets this stage's tag."""
    return {"StringEquals": {f"aws:RequestTag/{STAGE_TAG}": stage}}
