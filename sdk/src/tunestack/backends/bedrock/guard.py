"""The endpoint guard of a deployment: one schedule for each endpoint invokes the guard's function from the deadline on.

The schedule is created before its endpoint, with the name that the endpoint will have, so that an endpoint that is billed is
always deleted. Schedules are never deleted by the SDK, because another process may be about to create an endpoint of that
name. A schedule repeats for a day after the deadline, and does nothing if the endpoint was deleted; then EventBridge Scheduler
deletes it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from tunestack.backends.base import Expiry
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_scheduler import EventBridgeSchedulerClient

    from tunestack.backends.base import EndpointInfo
    from tunestack.backends.bedrock.clients import Clients
    from tunestack.deployment import Deployment

_REPEAT_FOR = timedelta(days=1)
"""How long a schedule repeats after the deadline."""
_RATE = "rate(5 minutes)"


class ScheduledGuard:
    """`tunestack.backends.base.Guard` with EventBridge Scheduler."""

    def __init__(self, clients: Clients, deployment: Deployment) -> None:
        """Store the arguments; no call is made here.

        Args:
            clients: the clients that make the calls.
            deployment: a deployment that has a guard.
        """
        self._clients = clients
        self._deployment = deployment

    @property
    def default(self) -> timedelta:
        """The lifetime of an endpoint if none is specified, a setting of the stage."""
        return timedelta(hours=self._deployment.default_endpoint_hours)

    @property
    def longest(self) -> timedelta:
        """The longest lifetime, a setting of the stage."""
        return timedelta(hours=self._deployment.max_endpoint_hours)

    @property
    def _client(self) -> EventBridgeSchedulerClient:
        client = self._clients.get("scheduler", self._deployment.region)
        return cast("EventBridgeSchedulerClient", client)

    def arm(self, name: str, serving: Serving, end: datetime) -> None:
        """Create the schedule of an endpoint; extend an existing schedule, so that it covers both deadlines."""
        with translate_errors(f"arming the guard for endpoint {name!r}"):
            build = partial(build_schedule, self._deployment, name, serving)
            last = end + _REPEAT_FOR
            try:
                self._client.create_schedule(**build(end, last))
            except self._client.exceptions.ConflictException:
                # The endpoint was started before, maybe by another process, whose deadline stays.
                existing = self._client.get_schedule(
                    Name=name, GroupName=self._deployment.schedule_group or ""
                )
                first, until = existing.get("StartDate", end), existing.get("EndDate", last)
                if first <= end and last <= until:
                    return
                # AWS refuses a start date in the past.
                first = max(min(first, end), self._clients.now(self._deployment.region))
                self._client.update_schedule(**build(first, max(until, last)))


def with_expiry(
    endpoint: EndpointInfo, tags: Mapping[str, str], deployment: Deployment | None
) -> EndpointInfo:
    """Add the time at which the guard deletes an endpoint.

    The rule is that of `deadline` in infra/src/tunestack_cdk/constructs/endpoint_guard_handler.py.

    Args:
        endpoint: the observation.
        tags: the tags of the endpoint.
        deployment: the deployment, if the caller can find it. Its guard deletes only the endpoints of its own stage.
    """
    tagged_end, stage = _parse_time(tags.get(EXPIRES_AT_TAG)), tags.get(STAGE_TAG)
    is_provisioned = endpoint.serving is Serving.PROVISIONED
    if stage is None or (tagged_end is None and not is_provisioned):
        return replace(endpoint, expiry=Expiry.NEVER, expires_at=None)
    end = tagged_end
    if deployment is None or deployment.stage in (None, stage):
        if deployment is None or deployment.guard_arn is None:
            end = None  # No guard was found, but another deployment of the stage may have one.
        elif is_provisioned and endpoint.created is not None:
            default = timedelta(hours=deployment.default_endpoint_hours)
            longest = timedelta(hours=deployment.max_endpoint_hours)
            end = min(tagged_end or endpoint.created + default, endpoint.created + longest)
    expiry = Expiry.UNKNOWN if end is None else Expiry.SCHEDULED
    return replace(endpoint, expiry=expiry, expires_at=end)


def _parse_time(text: str | None) -> datetime | None:
    """Parse a time as the guard does; `None` if the text is not a time."""
    with suppress(ValueError, TypeError):
        time = datetime.fromisoformat(text or "")
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def build_schedule(
    deployment: Deployment, name: str, serving: Serving, first: datetime, last: datetime
) -> dict[str, Any]:
    """Build `CreateSchedule` or `UpdateSchedule`: invoke the guard every 5 minutes, from the first time to the last."""
    target: dict[str, Any] = {
        "Arn": deployment.guard_arn,
        "RoleArn": deployment.scheduler_role_arn,
        "Input": json.dumps({"name": name, "kind": serving.value}),
        "RetryPolicy": {"MaximumEventAgeInSeconds": 300, "MaximumRetryAttempts": 5},
    }
    if deployment.dead_letters_arn is not None:
        target["DeadLetterConfig"] = {"Arn": deployment.dead_letters_arn}
    return {
        "Name": name,
        "GroupName": deployment.schedule_group,
        "Description": "Deletes an endpoint of Tunestack",
        "ScheduleExpression": _RATE,
        "StartDate": first,
        "EndDate": last,
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
