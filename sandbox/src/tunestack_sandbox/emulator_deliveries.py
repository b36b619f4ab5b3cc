"""Permissions of EventBridge rules, CloudWatch alarms, SNS topics and S3 buckets to send to topics, queues and functions.

MiniStack does not check them, or checks them only with its authorization and without KMS keys.
Sources: EventBridge user guide, eb-use-resource-based (policies of targets) and rule-dlq (dead-letter queues); SNS
and SQS developer guides, sns-key-management and sqs-key-management (which services support `aws:SourceArn` in the policy of a
KMS key); AWS knowledge center, cloudwatch-receive-sns-for-alarm-trigger (all read 2026-11-29).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.emulator_permissions import explain_denial, explain_key_denial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EVENTBRIDGE = "events.amazonaws.com"
_CLOUDWATCH = "cloudwatch.amazonaws.com"
_ACTIONS = {"lambda": "lambda:InvokeFunction", "sns": "sns:Publish", "sqs": "sqs:SendMessage"}
"""The actions by the service of the target."""
_ENCRYPTION_CONTEXTS = {"sns": "aws:sns:topicArn", "sqs": "aws:sqs:arn"}
"""The keys of the encryption contexts that contain the ARN of the target."""
_NO_PERMISSIONS = "NO_PERMISSIONS"
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")
_ALARM_ACTIONS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
"""The actions of an alarm by its new state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refusal:
    """Why a target can't be called."""

    code: str
    """The error code in a dead-letter queue."""
    message: str
    is_about_key: bool = False


def install() -> None:
    """Check the permissions in MiniStack's services."""
    from ministack.services import (  # noqa: PLC0415 - reads the environment on import
        cloudwatch,
        eventbridge,
        sns,
        sqs,
    )

    invoke_target = eventbridge._invoke_target  # noqa: SLF001
    dispatch_alarm_actions = cloudwatch._dispatch_alarm_actions  # noqa: SLF001

    def invoke_checked(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        # For a target with a role, AWS documents only that its events may not arrive.
        refusal = None if target.get("RoleArn") else _check_rule(target["Arn"], rule)
        if refusal is None:
            invoke_target(target, event, rule, view)
        else:
            view = view or eventbridge._pattern_event_view(event)  # noqa: SLF001
            _fail_invocation(target, json.dumps(view.event_with_detail()), rule, refusal)

    def dispatch_checked(
        alarm: dict[str, Any], old_state: str, new_state: str, reason: str
    ) -> None:
        member = _ALARM_ACTIONS.get(new_state, "")
        allowed = []
        for arn in alarm.get(member) or ():
            refusal = _check_alarm(arn, alarm)
            if refusal is None:
                allowed.append(arn)
            elif alarm.get("ActionsEnabled", True):
                _record_failed_action(alarm, arn, refusal)
        dispatch_alarm_actions({**alarm, member: allowed}, old_state, new_state, reason)

    eventbridge._invoke_target = invoke_checked  # noqa: SLF001
    cloudwatch._dispatch_alarm_actions = dispatch_checked  # noqa: SLF001
    # The notifications of buckets and the subscriptions of topics call these functions.
    sns.topic_policy_allows = _build_source_check(sns.topic_policy_allows)
    sqs.queue_policy_allows = _build_source_check(sqs.queue_policy_allows)


def _build_source_check(is_allowed: Callable[..., bool]) -> Callable[..., bool]:
    """Return a function that checks whether a service may send to a target, for a resource of an account."""

    def is_allowed_by_policies(
        arn: str, service: str, source_arn: str, source_account: str
    ) -> bool:
        source = {"aws:SourceArn": source_arn, "aws:SourceAccount": source_account}
        context = {**source, "aws:SourceOwner": source_account}
        if not _is_local(arn):  # KMS keys of other accounts can't be read
            return is_allowed(arn, service, source_arn, source_account)
        return _check(arn, service=service, context=context) is None

    return is_allowed_by_policies


def _check_rule(arn: str, rule: Mapping[str, Any]) -> _Refusal | None:
    """Check that EventBridge may send to a topic, queue or function.

    Requests have the condition keys of their source, except for those to a topic and its KMS key.
    """
    account = rule["Arn"].split(":")[4]
    source = {"aws:SourceArn": rule["Arn"], "aws:SourceAccount": account}
    return _check(arn, service=_EVENTBRIDGE, context={} if ":sns:" in arn else source)


def _check_alarm(arn: str, alarm: Mapping[str, Any]) -> _Refusal | None:
    """Check that an alarm may publish to a topic. The default policy of a topic allows it by `aws:SourceOwner`."""
    if ":sns:" not in arn:
        return None  # MiniStack stores other actions, but does not execute them
    account = alarm["AlarmArn"].split(":")[4]
    source = {"aws:SourceArn": alarm["AlarmArn"], "aws:SourceAccount": account}
    context = {**source, "aws:SourceOwner": account}
    return _check(arn, service=_CLOUDWATCH, context=context)


def _check(arn: str, *, service: str, context: Mapping[str, str]) -> _Refusal | None:
    """Return why a service can't send to a topic, queue or function; `None` if it can, or if this is another target."""
    if not _is_local(arn):
        return None  # MiniStack delivers to no other account or region
    kind = arn.split(":")[2]
    target = _find_target(arn)
    if target is None:
        return _Refusal(code="NO_RESOURCE", message=f"The resource {arn} does not exist.")
    policy, key = target
    message = explain_denial(service, _ACTIONS[kind], arn, policy=policy, context=context)
    if message is not None:
        return _Refusal(code=_NO_PERMISSIONS, message=message)
    if key:
        context = {**context, f"kms:EncryptionContext:{_ENCRYPTION_CONTEXTS[kind]}": arn}
        message = explain_key_denial(service, _KEY_ACTIONS, key, context=context)
    if message is not None:
        return _Refusal(code=_NO_PERMISSIONS, message=message, is_about_key=True)
    return None


def _is_local(arn: str) -> bool:
    """Return whether this is a topic, queue or function in the account and region of the request."""
    from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415

    _, _, kind, region, account, _ = (*arn.split(":", 5), "", "", "", "", "")[:6]
    return kind in _ACTIONS and (region, account) == (get_region(), get_account_id())


def _find_target(arn: str) -> tuple[str | None, str | None] | None:
    """Return the policy and the KMS key of a topic, queue or function; `None` if it does not exist."""
    from ministack.services import lambda_svc, sns, sqs  # noqa: PLC0415

    if ":lambda:" in arn:
        function, _, _ = lambda_svc._get_base_func_record_for_ref(arn)  # noqa: SLF001
        # A function needs no permission for its KMS key to be invoked.
        return None if function is None else (json.dumps(function["policy"]), None)
    target = sns._topics.get(arn) if ":sns:" in arn else sqs._queue_by_arn(arn)  # noqa: SLF001
    if target is None:
        return None
    attributes = target["attributes"]
    return attributes.get("Policy"), attributes.get("KmsMasterKeyId")


def _fail_invocation(
    target: Mapping[str, Any], event: str, rule: Mapping[str, Any], refusal: _Refusal
) -> None:
    """Count a failed invocation, and send the event to the target's dead-letter queue, if it has one.

    AWS does not retry without permission. Metrics: EventBridge user guide, eb-monitoring.
    """
    from ministack.core.arn import parse_arn  # noqa: PLC0415
    from ministack.services import cloudwatch, eventbridge, sqs  # noqa: PLC0415

    def count(metric: str) -> None:
        dimensions = {"RuleName": rule["Name"]}
        cloudwatch.record_metric("AWS/Events", metric, 1, "Count", dimensions)

    count("FailedInvocations")
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue_arn:
        return
    queue = sqs._queue_by_arn(queue_arn)  # noqa: SLF001
    if queue is None or _check_rule(queue_arn, rule) is not None:
        count("InvocationsFailedToBeSentToDlq")
        return
    attributes = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": refusal.code,
        "ERROR_MESSAGE": refusal.message,
        "RETRY_ATTEMPTS": "0",
    }
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), event)  # noqa: SLF001
    message = next(row for row in reversed(queue["messages"]) if row["body"] == event)
    message["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    count("InvocationsSentToDlq")


def _record_failed_action(alarm: Mapping[str, Any], arn: str, refusal: _Refusal) -> None:
    """Add a failed action to the history of an alarm, with AWS's messages."""
    from ministack.services import cloudwatch  # noqa: PLC0415

    error = refusal.message
    if refusal.is_about_key:
        error = (
            "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
        )
    elif refusal.code == _NO_PERMISSIONS:
        error = f"Resource: {alarm['AlarmArn']} is not authorized to perform: SNS:Publish on resource: {arn}"
    cloudwatch._history_entries().append(  # noqa: SLF001
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "MetricAlarm" if "MetricName" in alarm else "CompositeAlarm",
            "Timestamp": cloudwatch._ts_iso(time.time()),  # noqa: SLF001
            "HistoryItemType": "Action",
            "HistorySummary": f'Failed to execute action {arn}. Received error: "{error}"',
            "HistoryData": json.dumps(
                {"actionState": "Failed", "notificationResource": arn, "error": error}
            ),
        }
    )
