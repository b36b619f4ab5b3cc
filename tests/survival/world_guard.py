"""The guard of the world: its code runs in the process of the test, in virtual time."""

from contextlib import suppress
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from tests.infra.guard_account import SETTINGS
from tests.survival.world_checks import WorldChecks
from tests.survival.world_settings import PERIOD
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, compute_expiry


class VirtualGuard(WorldChecks):
    """Runs the guard every five minutes of the sandbox's clock, by schedule and by sweep as far as they are on."""

    def advance(self, seconds):
        """Advance the clock, and run the guard whenever it is due."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.layers and self.next_run <= end:
            self.clock.advance(max(self.next_run - self.clock.now(), timedelta(0)))
            self.next_run += PERIOD
            for region in self.schedule_groups:
                self._run_guard(region)
        self.clock.advance(max(end - self.clock.now(), timedelta(0)))

    def _run_guard(self, region):
        existing, expired = self._read_endpoints(region)
        due = self._list_due_schedules(region) if "schedule" in self.layers else []
        # A schedule of an endpoint that has not expired has no effect, so its requests are skipped.
        due = [name for name in due if name in expired]
        if not expired and not due:
            return
        faults = self._count_injected_faults()
        guard = self.guards[region]
        with suppress(ClientError, BotoCoreError):
            if "sweep" in self.layers:
                guard.sweep(lambda: 10**6)
        for name in due:
            with suppress(ClientError, BotoCoreError):
                kind = name.removeprefix("tunestack-").partition("-")[2]
                guard.check_endpoint(KINDS[kind], name)
        has_failed = self._count_injected_faults() > faults
        self.missed_periods = self.missed_periods + 1 if has_failed else 0
        for name in existing.keys() - self._read_endpoints(region)[0].keys():
            self.deleted_count += 1
            early = self.earliest_ends.get(name, self.clock.now()) - self.clock.now()
            is_failed = existing[name].status == "Failed"
            assert is_failed or early <= timedelta(0), f"{name} was deleted {early} too early"
        with self.without_faults():
            self.check_lifetimes(region)

    def _count_injected_faults(self):
        return (
            sum(rule.injected_count for rule in self.sandbox.faults.rules) - self.hidden_responses
        )

    def _read_endpoints(self, region):
        """Return all endpoints by name, and the names of those that the guard may delete."""
        state = self.sandbox.bedrock_region(region)
        now, existing, expired = self.clock.now(), {}, set()
        for kind, table in (
            ("provisioned", state.throughputs),
            ("on-demand", state.deployments),
        ):
            for entry in table.values():
                tags = state.tags[entry.arn]
                expires_at = compute_expiry(KINDS[kind], tags, entry.created, SETTINGS)
                existing[entry.name] = entry
                if entry.status == "Failed" or (expires_at is not None and expires_at <= now):
                    expired.add(entry.name)
        return existing, expired

    def _list_due_schedules(self, region):
        if self.schedules[region] is None:
            group, scheduler = self.schedule_groups[region], self.clients["scheduler", region]
            rows = scheduler.list_schedules(GroupName=group)["Schedules"]
            schedules = [self._get_schedule(region, row["Name"]) for row in rows]
            self.schedules[region] = {
                row["Name"]: (row["StartDate"], row["EndDate"]) for row in schedules
            }
        now = self.clock.now()
        return [name for name, (start, end) in self.schedules[region].items() if start <= now < end]
