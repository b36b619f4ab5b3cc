"""The endpoint guard of a deployment: one schedule for each endpoint, which invokes it from the deadline on.

A schedule is armed before its endpoint is created, by the name that the endpoint will have: there is no moment at which
something is billed and nothing would end it. Nobody deletes one, for somebody else may just be about to create what it is
for: it comes for a day after the deadline, and finds the endpoint gone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from tunestack.backends.base import Expiry
from tunestack.backends.bedrock.errors import translated
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_scheduler import EventBridgeSchedulerClient

    from tunestack.backends.base import EndpointInfo
    from tunestack.backends.bedrock.clients import Clients
    from tunestack.deployment import Deployment

_REPEATED = timedelta(days=1)
"""How long a schedule comes after its deadline."""
_AGAIN = "rate(5 minutes)"


class ScheduledGuard:
    """`tunestack.backends.base.Guard` by EventBridge Scheduler."""

    def __init__(self, clients: Clients, deployment: Deployment) -> None:
        """Take a deployment that has a guard; no call is made here."""
        self._clients = clients
        self._deployment = deployment

    @property
    def default(self) -> timedelta:
        """How long an endpoint lives if nobody says: what the stage says."""
        return timedelta(hours=self._deployment.default_endpoint_hours)

    @property
    def longest(self) -> timedelta:
        """How long it lives at most."""
        return timedelta(hours=self._deployment.max_endpoint_hours)

    @property
    def _client(self) -> EventBridgeSchedulerClient:
        client = self._clients.get("scheduler", self._deployment.region)
        return cast("EventBridgeSchedulerClient", client)

    def arm(self, name: str, serving: Serving, end: datetime) -> None:
        """Let the schedule of an endpoint come from its end on, whatever it was to come for before."""
        with translated(f"arming the guard for endpoint {name!r}"):
            wanted = partial(schedule, self._deployment, name, serving)
            last = end + _REPEATED
            try:
                self._client.create_schedule(**wanted(end, last))
            except self._client.exceptions.ConflictException:
                # Somebody else starts it too, or did before: what ends theirs stays.
                there = self._client.get_schedule(
                    Name=name, GroupName=self._deployment.schedule_group or ""
                )
                first, until = there.get("StartDate", end), there.get("EndDate", last)
                if first <= end and last <= until:
                    return
                # AWS refuses a start that is over.
                first = max(min(first, end), self._clients.now(self._deployment.region))
                self._client.update_schedule(**wanted(first, max(until, last)))


def with_expiry(
    endpoint: EndpointInfo, tags: Mapping[str, str], deployment: Deployment | None
) -> EndpointInfo:
    """Add when the guard deletes an endpoint, by the rule of `deadline` in infra/src/tunestack_cdk/constructs/endpoint_guard_handler.py.

    Args:
        endpoint: the observation.
        tags: the endpoint's.
        deployment: what is deployed, if the caller can find it. Its guard deletes only the endpoints of its own stage.
    """
    said, stage = _time(tags.get(EXPIRES_AT_TAG)), tags.get(STAGE_TAG)
    is_provisioned = endpoint.serving is Serving.PROVISIONED
    if stage is None or (said is None and not is_provisioned):
        return replace(endpoint, expiry=Expiry.NEVER, expires_at=None)
    end = said
    if deployment is None or deployment.stage in (None, stage):
        if deployment is None or deployment.guard_arn is None:
            end = None  # No guard is found, which does not prove that there is none.
        elif is_provisioned and endpoint.created is not None:
            default = timedelta(hours=deployment.default_endpoint_hours)
            longest = timedelta(hours=deployment.max_endpoint_hours)
            end = min(said or endpoint.created + default, endpoint.created + longest)
    expiry = Expiry.UNKNOWN if end is None else Expiry.SCHEDULED
    return replace(endpoint, expiry=expiry, expires_at=end)


def _time(text: str | None) -> datetime | None:
    """Read a time as the guard does; `None` if the text is not one."""
    with suppress(ValueError, TypeError):
        time = datetime.fromisoformat(text or "")
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def schedule(
    deployment: Deployment, name: str, serving: Serving, first: datetime, last: datetime
) -> dict[str, Any]:
    """Build `CreateSchedule` and `UpdateSchedule`: from the first time to the last, again and again."""
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
        "Description": "Ends an endpoint of Tunestack",
        "ScheduleExpression": _AGAIN,
        "StartDate": first,
        "EndDate": last,
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
