"""The endpoint guard of a deployment: one schedule for each endpoint, which invokes it from the deadline on.

A schedule is armed before its endpoint is created, by the name that the endpoint will have: there is no moment at which
something is billed and nothing would end it. It repeats until the guard finds the endpoint gone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from tunestack.errors import NotFoundError
from tunestack.providers.aws_errors import translated

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient

    from tunestack.catalog import Serving
    from tunestack.contract import Deployment
    from tunestack.providers.clients import Clients

_REPEATED = timedelta(days=7)
"""How long a schedule lives on after its deadline, if the endpoint can't be ended."""
_AGAIN = "rate(5 minutes)"


class ScheduledGuard:
    """`tunestack.provider.Guard` by EventBridge Scheduler."""

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

    def arm(self, name: str, serving: Serving, end: datetime, *, later: bool = False) -> None:
        """Create or change the schedule of an endpoint."""
        with translated(f"arming the guard for endpoint {name!r}"):
            try:
                self._client.create_schedule(**schedule(self._deployment, name, serving, end))
            except self._client.exceptions.ConflictException:
                # Somebody else starts it too, or did before.
                end = end if later else self._earlier(name, end)
                self._client.update_schedule(**schedule(self._deployment, name, serving, end))

    def _earlier(self, name: str, end: datetime) -> datetime:
        group = self._deployment.schedule_group or ""
        armed = self._client.get_schedule(Name=name, GroupName=group).get("StartDate")
        return armed if armed is not None and datetime.now(UTC) < armed < end else end

    def disarm(self, name: str) -> None:
        """Delete the schedule of an endpoint."""
        group = self._deployment.schedule_group or ""
        with suppress(NotFoundError), translated(f"disarming the guard for endpoint {name!r}"):
            self._client.delete_schedule(Name=name, GroupName=group)


def schedule(deployment: Deployment, name: str, serving: Serving, end: datetime) -> dict[str, Any]:
    """Build `CreateSchedule` and `UpdateSchedule`."""
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
        "StartDate": end,
        "EndDate": end + _REPEATED,
        "ActionAfterCompletion": "DELETE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
