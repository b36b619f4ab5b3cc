"""Faults of the world: crashes between two requests, unknown statuses, and new resources that are not visible yet."""

from dataclasses import replace

from tests.survival.world_settings import (
    DEFAULT_LIFETIME,
    MARGIN,
    PERIOD,
    REGIONS,
    VISIBILITY_DELAY,
    parse_expiry,
)
from tests.survival.world_state import WorldState
from tunestack_sandbox.messages import ServiceError


class FaultHooks(WorldState):
    """Hooks around the requests of the clients, and around the requests that the sandbox handles."""

    def _before_request(self, params, model, **_):
        """Check that a schedule exists before the client creates provisioned throughput."""
        if model.name == "CreateCustomModelDeployment":
            self.earliest_ends.pop(params["modelDeploymentName"], None)
        if model.name != "CreateProvisionedModelThroughput":
            return
        name, region = params["provisionedModelName"], REGIONS["llama-3-1-8b"]
        tags = {tag["key"]: tag["value"] for tag in params["tags"]}
        with self.without_faults():
            schedule = self._get_schedule(region, name)
            existing = {row["provisionedModelName"] for row in self.list_throughputs(region)}
        assert self.requested_at is not None, "a client creates throughput only in a start"
        ttl = self.requested_ttl or DEFAULT_LIFETIME
        earliest, latest = self.requested_at + ttl - MARGIN, self.clock.now() + ttl + PERIOD
        if not self.outcomes_only:
            assert schedule is not None, f"{name} is created without a schedule"
            assert schedule["StartDate"] <= latest, f"the schedule of {name} starts too late"
            expires_at = parse_expiry(tags)
            assert expires_at is not None, f"{name} is created without an expiry"
            assert earliest <= expires_at <= latest, f"{name} has the wrong expiry {expires_at}"
            assert schedule["EndDate"] > expires_at, (
                f"the schedule of {name} ends before its expiry"
            )
        if name not in existing:
            self.latest_ends[name] = latest
            self.earliest_ends.pop(name, None)

    def _after_request(self, parsed, model, **_):
        if model.service_model.service_name == "scheduler":
            self.schedules = dict.fromkeys(self.schedule_groups)
        if self.unknown_statuses and model.name.startswith("Get") and "status" in parsed:
            self.unknown_statuses -= 1
            parsed["status"] = "Strange"
        self._reach_point()

    def _reach_point(self):
        """Count the points before and after each request, and run the action that is due at this one."""
        if self.interruption is None:
            return
        remaining, action = self.interruption
        self.interruption = (remaining - 1, action) if remaining > 1 else None
        if remaining <= 1:
            action()

    def handle_with_delay(self, call, handle):
        """Handle a request as the sandbox does, but hide new resources for some responses."""
        reply = handle(call)
        is_read = call.operation.name.startswith(("Get", "List"))
        if not self.hidden_responses or self.is_quiet or not is_read:
            return reply
        if self._is_new(reply.result):
            self.hidden_responses -= 1
            raise ServiceError("ResourceNotFoundException", "It is not visible yet.")
        visible = {
            name: [row for row in value if not self._is_new(row)] if isinstance(value, list) else value
            for name, value in reply.result.items()
        }  # fmt: skip
        self.hidden_responses -= visible != reply.result
        return replace(reply, result=visible)

    def _is_new(self, row):
        created = isinstance(row, dict) and (row.get("creationTime") or row.get("createdAt"))
        return bool(created) and created > self.clock.now() - VISIBILITY_DELAY
