"""Permissions of AWS services in resource policies inside the emulator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tunestack_sandbox.iam import (
    AccessRequest,
    MalformedPolicyError,
    Policies,
    Principal,
    PrincipalKind,
    decide,
    parse_statements,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def explain_denial(
    service: str, action: str, resource: str, *, policy: str | None, context: Mapping[str, str]
) -> str | None:
    """Return why the policy of a resource does not allow a service an action; `None` if it does.

    Args:
        service: The service principal, such as `events.amazonaws.com`.
        action: The action.
        resource: The ARN of the resource.
        policy: The policy document of the resource.
        context: The condition keys of the request, without those that all requests of services have.
    """
    from ministack.core.responses import get_account_id  # noqa: PLC0415

    now = time.time()
    request = AccessRequest(
        principal=Principal(kind=PrincipalKind.SERVICE, arn=service),
        action=action,
        resource=resource,
        account=get_account_id(),
        context={
            "aws:CurrentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "aws:EpochTime": str(int(now)),
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": service,
            "aws:SecureTransport": "true",
            **context,
        },
    )
    try:
        statements = parse_statements(policy) if policy else []
    except MalformedPolicyError as error:
        return str(error)
    decision = decide(request, Policies(resource=statements, requires_resource_policy=True))
    return None if decision.allowed else decision.message()


def explain_key_denial(
    service: str, actions: Iterable[str], key: str, *, context: Mapping[str, str]
) -> str | None:
    """Return why the policy of a KMS key does not allow a service the actions; `None` if it does."""
    from ministack.services import kms  # noqa: PLC0415

    # MiniStack has no AWS managed keys. Other services can't use those of SNS and SQS, as their policies can't be changed.
    record = kms._resolve_key(key) or {"Arn": key}  # noqa: SLF001
    denials = (
        explain_denial(service, action, record["Arn"], policy=record.get("Policy"), context=context)
        for action in actions
    )
    return next((denial for denial in denials if denial is not None), None)
