"""The state of the world, and the reads that its faults, its guard and its checks share."""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from tunestack_cdk.constructs.endpoint_guard_handler import Guard
from tunestack_sandbox import Sandbox


class WorldState:
    """The attributes of the world; `World` sets them."""

    sandbox: Sandbox
    clock: Any
    clients: dict[tuple[str, str], Any]
    guards: dict[str, Guard]
    schedule_groups: dict[str, str]
    schedules: dict[str, Any]
    layers: tuple[str, ...]
    next_run: datetime
    missed_periods: int
    deleted_count: int
    outcomes_only: bool
    is_quiet: bool
    interruption: tuple[int, Callable[[], None]] | None
    hidden_responses: int
    unknown_statuses: int
    requested_ttl: timedelta | None
    requested_at: datetime | None
    latest_ends: dict[str, datetime]
    earliest_ends: dict[str, datetime]
    job_ids: dict[tuple[str, int], list[str]]
    reruns: Counter[tuple[str, int]]
    contents: dict[str, tuple[str, int]]
    contents_by_uri: dict[str | None, tuple[str, int]]

    def list_throughputs(self, region):
        client = self.clients["bedrock", region]
        response = client.list_provisioned_model_throughputs(maxResults=1000)
        return response["provisionedModelSummaries"]

    def _get_schedule(self, region, name):
        scheduler = self.clients["scheduler", region]
        try:
            return scheduler.get_schedule(Name=name, GroupName=self.schedule_groups[region])
        except scheduler.exceptions.ResourceNotFoundException:
            return None

    @contextmanager
    def without_faults(self):
        """Send requests that neither meet faults nor use them up."""
        before, self.is_quiet = self.is_quiet, True
        try:
            with self.sandbox.faults.paused():
                yield
        finally:
            self.is_quiet = before
