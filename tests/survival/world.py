"""A world for random histories: two clients, one account, virtual time, and invariants that are checked all the time."""

import json
from collections import Counter, defaultdict
from datetime import timedelta

import boto3
from botocore.config import Config

from tests.infra.guard_account import SETTINGS
from tests.survival.world_checks import ACTIVE_STATUSES
from tests.survival.world_faults import FaultHooks
from tests.survival.world_guard import VirtualGuard
from tests.survival.world_settings import CONTENTS, PERIOD, REGIONS, ROWS
from tunestack import Poll, Tuner
from tunestack.errors import (
    ConfigError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    NotFoundError,
    TunestackError,
)
from tunestack_cdk.constructs.endpoint_guard_handler import Guard


class ClientCrashed(BaseException):
    """Raised to end a client in the middle of a call."""


class World(FaultHooks, VirtualGuard):
    """One sandbox in which histories run one after another; a history is a list of steps."""

    def __init__(self, sandbox, name):
        self.sandbox, self.name = sandbox, name
        self.clock = sandbox.clock
        self.interruption, self.unknown_statuses = None, 0
        self.outcomes_only = False
        # The deployed guard runs in real time, so its code runs in this process instead.
        sandbox.clock._followers.clear()
        # A stop may wait 30 minutes, a start takes 25: with any jitter, the SDK polls at least once in between.
        self.poll = Poll(
            first=1, factor=10, longest=240, sleep=self.advance, clock=self.clock.monotonic
        )
        self.sessions = [self._create_session(), self._create_session()]
        root = boto3.Session()
        self.clients = {
            (service, region): root.client(service, region)
            for service in ("bedrock", "scheduler", "events")
            for region in REGIONS.values()
        }
        retries = Config(retries={"mode": "standard", "total_max_attempts": 5})
        self.schedule_groups, self.guards = {}, {}
        for region in REGIONS.values():
            events = self.clients["events", region]
            for rule in events.list_rules()["Rules"]:
                if "ScheduleExpression" in rule:
                    events.disable_rule(Name=rule["Name"])
            self.schedule_groups[region] = sandbox.deployment(region).schedule_group
            self.guards[region] = Guard(root.client("bedrock", region, config=retries), SETTINGS)
        self.contents_by_uri = {self._get_uri(*content): content for content in CONTENTS}

    def _create_session(self):
        session = boto3.Session()
        session.events.register("before-parameter-build.bedrock", self._before_request)
        session.events.register("before-call", lambda **_: self._reach_point())
        session.events.register("after-call", self._after_request)
        return session

    def _get_uri(self, model, data):
        """Return the URI of the training data of a content."""
        job = Tuner(region=REGIONS[model], session=self.sessions[0]).submit(
            model, ROWS[model][data]
        )
        return job.refresh().training_data

    def reset(self, layers):
        """Delete everything before a new history."""
        self.sandbox.reset()
        self.layers = layers
        self.tuners = {}
        self.job_ids = defaultdict(list)
        self.reruns, self.contents = Counter(), {}
        self.latest_ends, self.earliest_ends = {}, {}
        self.schedules = dict.fromkeys(self.schedule_groups)
        self.requested_ttl = self.requested_at = None
        self.interruption = None
        self.is_nested = self.is_disturbed = self.is_quiet = False
        self.hidden_responses = self.unknown_statuses = self.missed_periods = self.deleted_count = 0
        self.active_faults, self.step_number = [], 0
        self.next_run = self.clock.now() + PERIOD

    def run(self, steps):
        """Run the steps, and then check that everything ends."""
        for step in steps:
            self.step_number += 1
            self._expire_faults()
            self.is_nested = self.is_disturbed = False
            self.step(step)
            self.interruption = None
        self.hidden_responses = self.unknown_statuses = 0
        self.active_faults = []
        self.sandbox.faults.clear()
        self._finish()

    def _finish(self):
        """No provisioned throughput exists after a day, or after the client has deleted it."""
        if self.layers:
            self.advance(26 * 3600)
        else:
            for model, data in list(self.job_ids):
                for arn in self.job_ids[model, data]:
                    if self._is_trained(model, arn):
                        self.get_tuner(0, model).job(arn).stop_endpoint()
        throughputs = self.list_throughputs(REGIONS["llama-3-1-8b"])
        assert [row["provisionedModelName"] for row in throughputs] == []
        self.tuners = {}
        for (model, _), job_ids in self.job_ids.items():
            for arn in job_ids:
                assert self.get_tuner(0, model).job(arn).id == arn

    def step(self, step):
        kind, *rest = step
        getattr(self, f"do_{kind}")(*rest)

    def _expire_faults(self):
        for rule, added_at in self.active_faults:
            if self.step_number - added_at > 4:
                rule.times = rule.injected_count
        self.active_faults = [
            pair for pair in self.active_faults if self.step_number - pair[1] <= 4
        ]

    def _is_undisturbed(self):
        is_pending = any(rule.injected_count < (rule.times or 0) for rule, _ in self.active_faults)
        return not (
            is_pending
            or self.hidden_responses
            or self.unknown_statuses
            or self.interruption
            or self.is_nested
        )

    def get_tuner(self, who, model):
        if (who, model) not in self.tuners:
            self.tuners[who, model] = Tuner(
                region=REGIONS[model], session=self.sessions[who], poll=self.poll
            )
        return self.tuners[who, model]

    def call_sdk(self, call, *allowed):
        """Call the SDK; it may raise its own errors only, and only if a fault or another client is the reason."""
        is_undisturbed, deleted_count = self._is_undisturbed(), self.deleted_count
        try:
            return call()
        except TunestackError as error:
            if (
                is_undisturbed
                and self.deleted_count == deleted_count
                and not self.is_disturbed
                and not isinstance(error, allowed)
            ):
                raise AssertionError(f"an error without a reason: {error!r}") from error
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"not an error of the SDK: {error!r}") from error
        return None

    def _get_job(self, model, job):
        with self.without_faults():
            return self.clients["bedrock", REGIONS[model]].get_model_customization_job(
                jobIdentifier=job
            )

    def _is_trained(self, model, job):
        state = self.sandbox.bedrock_region(REGIONS[model])
        return state.jobs[job].model is not None

    def _check(self, model, *checks):
        with self.without_faults():
            for check in checks:
                check(REGIONS[model])

    def do_nothing(self):
        """Do nothing, so that Hypothesis can shrink a history."""

    def do_submit(self, who, model, data, *, rerun=False):
        content, rows = (model, data), ROWS[model][data]
        self.reruns[content] += rerun
        is_undisturbed = self._is_undisturbed()
        job = self.call_sdk(lambda: self.get_tuner(who, model).submit(model, rows, rerun=rerun))
        self._check(model, self.check_jobs)
        if job is not None:
            is_new = job.id not in self.job_ids[content]
            assert is_new or not (rerun and is_undisturbed) or self.is_disturbed, (
                "a rerun returned an existing job"
            )
            self.job_ids[content].append(job.id)
            response = self._get_job(model, job.id)
            assert response["jobArn"] == job.id
            assert self.contents[job.id] == content, "a job with other training data"
            assert self.is_disturbed or response["status"] in ACTIVE_STATUSES, (
                "a job that has ended"
            )

    def do_rerun(self, who, model, data):
        self.do_submit(who, model, data, rerun=True)

    def _get_or_submit_job(self, who, model, data):
        if not self.job_ids[model, data]:
            self.do_submit(who, model, data)
        if not self.job_ids[model, data]:
            return None
        arn = self.job_ids[model, data][-1]
        return self.call_sdk(lambda: self.get_tuner(who, model).job(arn))

    def do_cancel(self, who, model, data):
        if job := self._get_or_submit_job(who, model, data):
            self.call_sdk(job.cancel)

    def do_wait(self, who, model, data):
        if job := self._get_or_submit_job(who, model, data):
            ends = (JobFailedError, JobStoppedError, JobTimeoutError)
            self.call_sdk(lambda: job.wait(3600), *ends)

    def do_start(self, who, model, data, hours):
        job = self._get_or_submit_job(who, model, data)
        if job is None:
            return
        self.call_sdk(job.wait, JobFailedError, JobStoppedError)
        if not self._is_trained(model, job.id):
            return
        # Another start may run within this one.
        outer = self.requested_ttl, self.requested_at
        deleted_count, ttl = self.deleted_count, hours and timedelta(hours=hours)
        self.requested_ttl, self.requested_at = ttl, self.clock.now()
        try:
            name = self.call_sdk(lambda: job.start_endpoint(ttl=ttl).name)
        finally:
            self.requested_ttl, self.requested_at = outer
        self._check(model, self.check_endpoints)
        if name is not None and not self.is_disturbed and self.deleted_count == deleted_count:
            existing = self._read_endpoints(REGIONS[model])[0]
            assert name in existing, f"{name} was started and does not exist"
            assert existing[name].status in ("Active", "InService")
            assert existing[name].model.job.arn == job.id

    def do_extend(self, who, model, data, hours):
        job = self._get_or_submit_job(who, model, data)
        if job is None or not self._is_trained(model, job.id):
            return

        def extend():
            endpoint = job.endpoint()
            until = self.clock.now() + timedelta(hours=hours) + PERIOD
            self.latest_ends[endpoint.name] = max(self.latest_ends.get(endpoint.name, until), until)
            # Of two concurrent extensions, the last one counts, even if it fails halfway.
            requested = self.clock.now() + timedelta(hours=hours)
            before = self.earliest_ends.get(endpoint.name)
            if before is not None:
                self.earliest_ends[endpoint.name] = min(before, requested)
            end = endpoint.extend(timedelta(hours=hours))
            if end is None:
                return
            assert self.is_disturbed or before is None or before <= end, (
                "an extension moved the expiry forward"
            )
            earliest = min(self.earliest_ends.get(endpoint.name, end), end)
            self.earliest_ends[endpoint.name] = earliest if self.is_disturbed else end

        self.call_sdk(extend, ConfigError, NotFoundError)
        self._check(model, self.check_endpoints)

    def do_stop(self, who, model, data):
        job = self._get_or_submit_job(who, model, data)
        if job is None or not self._is_trained(model, job.id):
            return
        # An endpoint that another client created seconds ago may not be visible yet.
        is_visible = not self.hidden_responses
        stopped = self.call_sdk(lambda: job.stop_endpoint() or True)
        self._check(model, self.check_endpoints)
        if stopped and is_visible and not self.is_disturbed:
            existing = self._read_endpoints(REGIONS[model])[0].values()
            assert job.id not in [entry.model.job.arn for entry in existing], (
                "the deleted endpoint exists"
            )

    def do_restart(self, who):
        self.tuners = {key: tuner for key, tuner in self.tuners.items() if key[0] != who}

    def do_advance(self, minutes):
        self.advance(60 * minutes)
        for model in REGIONS:
            self._check(model, self.check_lifetimes)

    def do_fault(self, kind, how):
        self.active_faults.append(
            (self.sandbox.faults.add(kind, **json.loads(how)), self.step_number)
        )

    def do_delay_visibility(self, count):
        self.hidden_responses = count

    def do_unknown_status(self, count):
        self.unknown_statuses = count

    def do_crash(self, point, step):
        """Crash the client before or after one of its requests."""

        def crash():
            raise ClientCrashed

        self.interruption = (point, crash)
        try:
            self.step(step)
        except ClientCrashed:
            self.do_restart(step[1])
            self.requested_ttl = self.requested_at = None
            self._check(step[2], self.check_jobs, self.check_endpoints)

    def do_race(self, point, steps):
        """Run steps of the other client between two requests of one client."""
        step, *others = steps

        def run_others():
            self.is_nested, self.is_disturbed = True, True
            for other in others:
                self.step(other)

        self.interruption = (point, run_others)
        self.step(step)
