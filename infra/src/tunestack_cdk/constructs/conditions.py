"""IAM conditions that several policies use, named for what they compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws

from tunestack.deployment import STAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    Conditions = Mapping[str, Mapping[str, object]]


def resource_owned_by(account: str = Aws.ACCOUNT_ID) -> Conditions:
    """The resource belongs to the account, by default to that of the stack.

    Without this condition, another account could take over the name of a deleted bucket and receive its data.
    """
    return {"StringEquals": {"aws:ResourceAccount": account}}


def called_via_service(service: str) -> Conditions:
    """The KMS key is used by a service in this region on behalf of the caller, never directly."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.{Aws.URL_SUFFIX}"}}


def passed_to_service(service: str) -> Conditions:
    """The role is passed to a service."""
    return {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}


def resource_has_no_other_stage_tag(stage: str) -> Conditions:
    """The resource has the tag of this stage, or no stage tag at all.

    Not `StringEquals`: the service authorization reference lists that Bedrock passes the tags of a resource to IAM when the
    resource is stopped or deleted, but this is unconfirmed. If Bedrock does not, `StringEquals` would prevent everyone from
    deleting endpoints that are billed (ADR 10).
    """
    return {"StringEqualsIfExists": {f"aws:ResourceTag/{STAGE_TAG}": stage}}


def resource_has_stage_tag(stage: str) -> Conditions:
    """The resource has the tag of this stage. If Bedrock passes no tags to IAM, the condition is false for every resource.

    For resources that can't be restored, such as custom models. If the policy denies the deletion of a model, only
    its storage is billed, and an administrator can delete it.
    """
    return {"StringEquals": {f"aws:ResourceTag/{STAGE_TAG}": stage}}


def request_sets_stage_tag(stage: str) -> Conditions:
    """The request gives the new resource the tag of this stage."""
    return {"StringEquals": {f"aws:RequestTag/{STAGE_TAG}": stage}}
