"""Random histories of endpoints, in which the guard must delete each endpoint in time, and not too early."""

import random
from contextlib import suppress
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from tests.infra.guard_account import SETTINGS, build_tags, format_time
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS

CREATION_TIME = timedelta(minutes=30)
MAX_DELAY = timedelta(minutes=5 + 1)
"""Maximum time between the expiry of an endpoint and its deletion, once its creation has finished."""
FIVE_MINUTES = timedelta(minutes=5)
DEFAULT_LIFETIME = timedelta(hours=SETTINGS.default_endpoint_hours)
MAX_LIFETIME = timedelta(hours=SETTINGS.max_endpoint_hours)


def run_histories(account, seeds):
    for seed in seeds:
        History(account, seed).run()


class History:
    """One endpoint from its creation to its deletion, by sweep, by schedule or by both."""

    def __init__(self, account, seed):
        self.account, self.random = account, random.Random(seed)
        self.hours = self.random.choice([0.25, 1, 3, 7, 23.9, 30, 1000])
        self.text = self.random.choice([None] * 8 + ["soon", "", "1e9", "2026-13-45T00:00:00Z"])
        self.layers = self.random.choice([("sweep",), ("schedule",), ("sweep", "schedule")])
        self.extended = self.random.choice([None, None, 2, 40])
        self.has_faults = self.random.random() < 0.3

    def run(self):
        account = self.account
        created_at = account.clock.now()
        requested = created_at + timedelta(hours=self.hours)
        name = account.create_endpoint(build_tags(account, self.hours, text=self.text))
        latest = created_at + MAX_LIFETIME
        expires_at = min(latest, requested if self.text is None else created_at + DEFAULT_LIFETIME)
        scheduled_at: datetime | None = requested
        if self.extended is not None:
            scheduled_at = self._extend(name, self.extended)
            expires_at = min(latest, scheduled_at)
        # The SDK schedules no later than the stage allows, and no earlier than the time in the tag.
        scheduled_at = min(scheduled_at, latest + MAX_DELAY) if "schedule" in self.layers else None
        limit = max(expires_at, created_at + CREATION_TIME) + MAX_DELAY
        if self.layers == ("schedule",):
            assert scheduled_at is not None
            limit = max(limit, scheduled_at + MAX_DELAY)
        self._check_kept_until(name, expires_at, scheduled_at)
        self._check_deleted_by(name, limit, scheduled_at)

    def _extend(self, name, hours):
        account = self.account
        account.clock.advance(timedelta(minutes=self.random.uniform(0, 10)))
        expires_at = account.clock.now() + timedelta(hours=hours)
        endpoint = account.bedrock.get_provisioned_model_throughput(provisionedModelId=name)
        account.bedrock.tag_resource(
            resourceARN=endpoint["provisionedModelArn"],
            tags=[{"key": EXPIRES_AT_TAG, "value": format_time(expires_at)}],
        )
        return expires_at

    def _check_kept_until(self, name, expires_at, scheduled_at):
        account = self.account
        time = expires_at - timedelta(minutes=11)
        if time > account.clock.now():
            account.clock.advance(time - account.clock.now())
            self._run_guard(name, scheduled_at)
            assert name in account.list_names(), "the guard deleted it before its expiry"
        if self.layers == ("schedule",):
            # Nothing happens before the schedule starts.
            wait = scheduled_at - timedelta(minutes=4) - account.clock.now()
            account.clock.advance(max(wait, timedelta(0)))

    def _check_deleted_by(self, name, limit, scheduled_at):
        account = self.account
        faults = self.random.randrange(3) if self.has_faults else 0
        injected = 0
        while name in account.list_names():
            # A fault costs the guard one period.
            late = account.clock.now() - limit - injected * FIVE_MINUTES
            assert late <= timedelta(0), f"{name} exists {late} after its limit: {vars(self)}"
            account.clock.advance(FIVE_MINUTES)
            if injected < faults:
                injected += 1
                operation = self.random.choice(
                    ["DeleteProvisionedModelThroughput", "ListTagsForResource"]
                )
                account.sandbox.faults.add("error", operation=operation)
            self._run_guard(name, scheduled_at)
            account.sandbox.faults.clear()

    def _run_guard(self, name, scheduled_at):
        with suppress(ClientError):
            if "sweep" in self.layers:
                self.account.sweep()
        with suppress(ClientError):
            if scheduled_at is not None and self.account.clock.now() >= scheduled_at:
                self.account.guard.check_endpoint(KINDS["provisioned"], name)
