"""A world in which histories take place: two clients, an account, a clock that is turned, and what must hold all the time."""

import json
from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.infra.test_guard import SETTINGS
from tunestack import Poll, Tuner
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack.errors import (
    ConfigError,
    JobFailedError,
    JobStoppedError,
    JobTimeoutError,
    NotFoundError,
    TunestackError,
)
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, Guard, deadline
from tunestack_sandbox.messages import ServiceError

REGIONS = {"nova-micro": "us-east-1", "llama-3-1-8b": "us-west-2"}
ROWS = {
    "nova-micro": [
        [
            {"messages": [{"role": "user", "content": f"{data}?"}, {"role": "assistant", "content": "x"}]}
            for _ in range(8)
        ]
        for data in range(2)
    ],
    "llama-3-1-8b": [
        [{"prompt": f"What is {data} + {number}?", "completion": "x"} for number in range(100)]
        for data in range(2)
    ],
}  # fmt: skip
CONTENTS = [(model, data) for model in REGIONS for data in range(2)]
PERIOD = timedelta(minutes=5)
CREATING = timedelta(minutes=25)
MARGIN = timedelta(minutes=1)
LAGS = timedelta(seconds=15)
"""How long Bedrock may not show what is new; the SDK looks for 20 seconds."""
ALIVE = ("InProgress", "Completed")


class Died(BaseException):
    """The client's process is gone, in the middle of what it did."""


def _end_of(tags):
    return datetime.fromisoformat(tags[EXPIRES_AT_TAG]) if EXPIRES_AT_TAG in tags else None


class World:
    """One sandbox, in which one history after another takes place."""

    def __init__(self, sandbox, name):
        self.sandbox, self.name = sandbox, name
        self.clock = sandbox.clock
        self.fuse, self.strange = None, 0
        self.outcomes_only = False
        # The deployed guard is as slow as real functions are: its code runs in this process, in virtual time.
        sandbox.clock._followers.clear()
        # A stop may wait 30 minutes, a start takes 25: one look falls between, whatever chance adds to the pauses.
        self.poll = Poll(
            first=1, factor=10, longest=240, sleep=self.advance, clock=self.clock.monotonic
        )
        self.sessions = [self._session(), self._session()]
        root = boto3.Session()
        self.roots = {
            (service, region): root.client(service, region)
            for service in ("bedrock", "scheduler", "events")
            for region in REGIONS.values()
        }
        retries = Config(retries={"mode": "standard", "total_max_attempts": 5})
        self.groups, self.guards = {}, {}
        for region in REGIONS.values():
            events = self.roots["events", region]
            for rule in events.list_rules()["Rules"]:
                if "ScheduleExpression" in rule:
                    events.disable_rule(Name=rule["Name"])
            self.groups[region] = sandbox.deployment(region).schedule_group
            self.guards[region] = Guard(root.client("bedrock", region, config=retries), SETTINGS)
        self.uris = {self._uri(*content): content for content in CONTENTS}

    def _session(self):
        session = boto3.Session()
        session.events.register("before-parameter-build.bedrock", self._about_to_call)
        session.events.register("before-call", lambda **_: self._point())
        session.events.register("after-call", self._called)
        return session

    def _uri(self, model, data):
        """Where the data of a content lies: there is one file of each."""
        job = Tuner(region=REGIONS[model], session=self.sessions[0]).submit(
            model, ROWS[model][data]
        )
        return job.info().training_data

    def begin(self, layers):
        """Forget the history before."""
        self.sandbox.reset()
        self.layers = layers
        self.tuners = {}
        self.known = defaultdict(list)
        self.reruns, self.contents = Counter(), {}
        self.ends, self.promised, self.armed = {}, {}, dict.fromkeys(self.groups)
        self.asked = self.since = None
        self.fuse, self.nested, self.disturbed, self.quiet = None, False, False, False
        self.lag = self.strange = self.missed = self.ended = 0
        self.faults, self.number = [], 0
        self.next_tick = self.clock.now() + PERIOD

    # What goes wrong around a call.

    def _about_to_call(self, params, model, **_):
        """Armed before it is there: whoever sees the request for throughput finds the schedule."""
        if model.name == "CreateCustomModelDeployment":
            self.promised.pop(params["modelDeploymentName"], None)
        if model.name != "CreateProvisionedModelThroughput":
            return
        name, region = params["provisionedModelName"], REGIONS["llama-3-1-8b"]
        tags = {tag["key"]: tag["value"] for tag in params["tags"]}
        with self.quietly():
            armed = self._schedule(region, name)
            there = {row["provisionedModelName"] for row in self.throughputs(region)}
        ttl = self.asked or SETTINGS.default
        soonest, latest = self.since + ttl - MARGIN, self.clock.now() + ttl + PERIOD
        if not self.outcomes_only:
            assert armed is not None, f"{name} is about to be created, and nothing is armed"
            assert armed["StartDate"] <= latest, f"{name} is armed later than it was asked for"
            end = _end_of(tags)
            assert end is not None, f"{name} is about to be created without an end"
            assert soonest <= end <= latest, f"{name} ends at {end}, not when it was asked for"
            assert armed["EndDate"] > end, f"{name} ends at {end}, when nothing is armed any more"
        if name not in there:
            self.ends[name] = latest
            self.promised.pop(name, None)

    def _called(self, parsed, model, **_):
        if model.service_model.service_name == "scheduler":
            self.armed = dict.fromkeys(self.groups)
        if self.strange and model.name.startswith("Get") and "status" in parsed:
            self.strange -= 1
            parsed["status"] = "Strange"
        self._point()

    def _point(self):
        """Count the moments before and after each call; at one of them something happens."""
        if self.fuse is None:
            return
        left, action = self.fuse
        self.fuse = (left - 1, action) if left > 1 else None
        if left <= 1:
            action()

    def show_late(self, call, handle):
        """Answer as the sandbox does, but for what is new: it is not shown at once."""
        reply = handle(call)
        if not self.lag or self.quiet or not call.operation.name.startswith(("Get", "List")):
            return reply
        if self._is_new(reply.result):
            self.lag -= 1
            raise ServiceError("ResourceNotFoundException", "It can't be seen yet.")
        shown = {
            name: [row for row in value if not self._is_new(row)] if isinstance(value, list) else value
            for name, value in reply.result.items()
        }  # fmt: skip
        self.lag -= shown != reply.result
        return replace(reply, result=shown)

    def _is_new(self, row):
        created = isinstance(row, dict) and (row.get("creationTime") or row.get("createdAt"))
        return bool(created) and created > self.clock.now() - LAGS

    @contextmanager
    def quietly(self):
        """Look as the account's root, without meeting or using up what goes wrong."""
        before, self.quiet = self.quiet, True
        try:
            with self.sandbox.faults.paused():
                yield
        finally:
            self.quiet = before

    # Time, and the guard's two ways to come.

    def advance(self, seconds):
        """Turn the clock; the guard comes every five minutes, as far as it is on."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.layers and self.next_tick <= end:
            self.clock.advance(max(self.next_tick - self.clock.now(), timedelta(0)))
            self.next_tick += PERIOD
            for region in self.groups:
                self._tick(region)
        self.clock.advance(max(end - self.clock.now(), timedelta(0)))

    def _tick(self, region):
        there, over = self._endpoints(region)
        fired = []
        if "schedule" in self.layers:
            fired = self._fired(region)
        # The guard would look at what is there and keep it: that is not asked over HTTP each time.
        fired = [name for name in fired if name in over]
        if not over and not fired:
            return
        struck = self._struck()
        guard = self.guards[region]
        with suppress(ClientError, BotoCoreError):
            if "sweep" in self.layers:
                guard.sweep(lambda: 10**6)
        for name in fired:
            with suppress(ClientError, BotoCoreError):
                kind = name.removeprefix("tunestack-").partition("-")[2]
                guard.wake(KINDS[kind], name)
        self.missed = self.missed + 1 if self._struck() > struck else 0
        for name in there.keys() - self._endpoints(region)[0].keys():
            self.ended += 1
            early = self.promised.get(name, self.clock.now()) - self.clock.now()
            failed = there[name].status == "Failed"
            assert failed or early <= timedelta(0), f"{name} was ended {early} before its end"
        with self.quietly():
            self.check_bounds(region)

    def _struck(self):
        return sum(rule.struck for rule in self.sandbox.faults.rules) - self.lag

    def _endpoints(self, region):
        """What is there, and what of it the guard's own rule says is over."""
        state = self.sandbox.bedrock_region(region)
        now, there, over = self.clock.now(), {}, set()
        for kind, table in (
            ("provisioned", state.throughputs),
            ("on-demand", state.deployments),
        ):
            for entry in table.values():
                end = deadline(KINDS[kind], state.tags[entry.arn], entry.created, SETTINGS)
                there[entry.name] = entry
                if entry.status == "Failed" or (end is not None and end <= now):
                    over.add(entry.name)
        return there, over

    def _fired(self, region):
        if self.armed[region] is None:
            group, scheduler = self.groups[region], self.roots["scheduler", region]
            rows = scheduler.list_schedules(GroupName=group)["Schedules"]
            found = [self._schedule(region, row["Name"]) for row in rows]
            self.armed[region] = {row["Name"]: (row["StartDate"], row["EndDate"]) for row in found}
        now = self.clock.now()
        return [name for name, (start, end) in self.armed[region].items() if start <= now < end]

    def _schedule(self, region, name):
        scheduler = self.roots["scheduler", region]
        try:
            return scheduler.get_schedule(Name=name, GroupName=self.groups[region])
        except scheduler.exceptions.ResourceNotFoundException:
            return None

    # What must hold.

    def throughputs(self, region):
        answer = self.roots["bedrock", region].list_provisioned_model_throughputs(maxResults=1000)
        return answer["provisionedModelSummaries"]

    def deployments(self, region):
        answer = self.roots["bedrock", region].list_custom_model_deployments(maxResults=1000)
        return answer["modelDeploymentSummaries"]

    def check_bounds(self, region):
        """No throughput is older than what was asked for, and the guard's period, and what a fault cost the guard."""
        if not self.layers:
            return
        now = self.clock.now()
        for row in self.throughputs(region):
            name, created = row["provisionedModelName"], row["creationTime"]
            cap = created + SETTINGS.longest + PERIOD
            end = max(min(self.ends.get(name, cap), cap), created + CREATING)
            late = now - (end + PERIOD * (1 + self.missed) + MARGIN)
            assert late <= timedelta(0), f"{name} lives {late} beyond its bound"

    def check_endpoints(self, region):
        """One of each kind for a model; throughput says its end, and its schedule is there."""
        throughputs = self.throughputs(region)
        for rows in (throughputs, self.deployments(region)):
            twice = [arn for arn, n in Counter(row["modelArn"] for row in rows).items() if n > 1]
            assert not twice, f"two endpoints of one kind for {twice}"
        for row in () if self.outcomes_only else throughputs:
            name, created = row["provisionedModelName"], row["creationTime"]
            answer = self.roots["bedrock", region].list_tags_for_resource(
                resourceARN=row["provisionedModelArn"]
            )
            end = _end_of({tag["key"]: tag["value"] for tag in answer["tags"]})
            assert end is not None, f"{name} carries no end"
            assert end <= created + SETTINGS.longest + PERIOD, f"{name} ends too late: {end}"
            assert self._schedule(region, name) is not None, f"{name} is there, its schedule is not"
        self.check_bounds(region)

    def check_jobs(self, region):
        """One job alive of each content, and every job that was answered is there."""
        bedrock = self.roots["bedrock", region]
        alive, seen = Counter(), set()
        pages = bedrock.get_paginator("list_model_customization_jobs").paginate()
        for row in (row for page in pages for row in page["modelCustomizationJobSummaries"]):
            seen.add(row["jobArn"])
            alive[self._content(bedrock, row["jobArn"])] += row["status"] in ALIVE
        for content, count in alive.items():
            assert count <= 1 + self.reruns[content], f"{count} jobs alive for {content}"
        for content, known in self.known.items():
            if REGIONS[content[0]] == region:
                assert set(known) <= seen, f"a job is lost of {content}"

    def _content(self, bedrock, arn):
        """What a job learns, by its answer; it never changes."""
        if arn not in self.contents:
            job = bedrock.get_model_customization_job(jobIdentifier=arn)
            self.contents[arn] = self.uris[job["trainingDataConfig"]["s3Uri"]]
        return self.contents[arn]

    # Steps.

    def live(self, steps):
        """Take the steps, and then let everything end."""
        for step in steps:
            self.number += 1
            self._expire()
            self.nested = self.disturbed = False
            self.step(step)
            self.fuse = None
        self.lag = self.strange = 0
        self.faults = []
        self.sandbox.faults.clear()
        self._end()

    def _end(self):
        """Nothing that is billed by the hour is left after a day, or after the client's own stop."""
        if self.layers:
            self.advance(26 * 3600)
        else:
            for model, data in list(self.known):
                for arn in self.known[model, data]:
                    if self._is_trained(model, arn):
                        self.tuner(0, model).job(arn).stop_endpoint()
        left = [row["provisionedModelName"] for row in self.throughputs(REGIONS["llama-3-1-8b"])]
        assert [] == left
        self.tuners = {}
        for (model, _), known in self.known.items():
            for arn in known:
                assert arn == self.tuner(0, model).job(arn).id

    def step(self, step):
        kind, *rest = step
        getattr(self, f"do_{kind}")(*rest)

    def _expire(self):
        for rule, born in self.faults:
            if self.number - born > 4:
                rule.times = rule.struck
        self.faults = [pair for pair in self.faults if self.number - pair[1] <= 4]

    def _is_calm(self):
        waiting = any(rule.struck < (rule.times or 0) for rule, _ in self.faults)
        return not (waiting or self.lag or self.strange or self.fuse or self.nested)

    def tuner(self, who, model):
        if (who, model) not in self.tuners:
            self.tuners[who, model] = Tuner(
                region=REGIONS[model], session=self.sessions[who], poll=self.poll
            )
        return self.tuners[who, model]

    def tried(self, do, *fine):
        """Do something; whatever the SDK raises is its own error, and nothing is raised for nothing."""
        calm, ended = self._is_calm(), self.ended
        try:
            return do()
        except TunestackError as error:
            if calm and self.ended == ended and not self.disturbed and not isinstance(error, fine):
                raise AssertionError(f"nothing went wrong, and yet: {error!r}") from error
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"no error of the SDK's own: {error!r}") from error
        return None

    def _raw(self, model, job):
        with self.quietly():
            return self.roots["bedrock", REGIONS[model]].get_model_customization_job(
                jobIdentifier=job
            )

    def _is_trained(self, model, job):
        state = self.sandbox.bedrock_region(REGIONS[model])
        return state.jobs[job].model is not None

    def _checked(self, model, *checks):
        with self.quietly():
            for check in checks:
                check(REGIONS[model])

    def do_nothing(self):
        """So that a history can shrink."""

    def do_submit(self, who, model, data, *, rerun=False):
        content, rows = (model, data), ROWS[model][data]
        self.reruns[content] += rerun
        calm = self._is_calm()
        job = self.tried(lambda: self.tuner(who, model).submit(model, rows, rerun=rerun))
        self._checked(model, self.check_jobs)
        if job is not None:
            new = job.id not in self.known[content]
            assert new or not (rerun and calm) or self.disturbed, "run again, and no job of its own"
            self.known[content].append(job.id)
            raw = self._raw(model, job.id)
            assert job.id == raw["jobArn"]
            assert content == self.contents[job.id], "a job that learns something else"
            assert self.disturbed or raw["status"] in ALIVE, "a job that is over was answered"

    def do_rerun(self, who, model, data):
        self.do_submit(who, model, data, rerun=True)

    def _job(self, who, model, data):
        if not self.known[model, data]:
            self.do_submit(who, model, data)
        if not self.known[model, data]:
            return None
        arn = self.known[model, data][-1]
        return self.tried(lambda: self.tuner(who, model).job(arn))

    def do_cancel(self, who, model, data):
        if job := self._job(who, model, data):
            self.tried(job.cancel)

    def do_wait(self, who, model, data):
        if job := self._job(who, model, data):
            over = (JobFailedError, JobStoppedError, JobTimeoutError)
            self.tried(lambda: job.wait(3600), *over)

    def do_start(self, who, model, data, hours):
        job = self._job(who, model, data)
        if job is None:
            return
        self.tried(job.wait, JobFailedError, JobStoppedError)
        if not self._is_trained(model, job.id):
            return
        # Another start may take place within this one.
        outer, ended, ttl = (self.asked, self.since), self.ended, hours and timedelta(hours=hours)
        self.asked, self.since = ttl, self.clock.now()
        try:
            name = self.tried(lambda: job.start_endpoint(ttl=ttl))
        finally:
            self.asked, self.since = outer
        self._checked(model, self.check_endpoints)
        if name is not None and not self.disturbed and self.ended == ended:
            there = self._endpoints(REGIONS[model])[0]
            assert name in there, f"{name} was started and is not there"
            assert there[name].status in ("Active", "InService")
            assert there[name].model.job.arn == job.id

    def do_extend(self, who, model, data, hours):
        job = self._job(who, model, data)
        if job is None or not self._is_trained(model, job.id):
            return

        def extend():
            endpoint = job.endpoint()
            until = self.clock.now() + timedelta(hours=hours) + PERIOD
            self.ends[endpoint.name] = max(self.ends.get(endpoint.name, until), until)
            # Of two at once, the last one counts, also if it fails halfway.
            asked = self.clock.now() + timedelta(hours=hours)
            before = self.promised.get(endpoint.name)
            if before is not None:
                self.promised[endpoint.name] = min(before, asked)
            end = endpoint.extend(timedelta(hours=hours))
            if end is None:
                return
            assert self.disturbed or before is None or before <= end, "extended, and ends earlier"
            soonest = min(self.promised.get(endpoint.name, end), end)
            self.promised[endpoint.name] = soonest if self.disturbed else end

        self.tried(extend, ConfigError, NotFoundError)
        self._checked(model, self.check_endpoints)

    def do_stop(self, who, model, data):
        job = self._job(who, model, data)
        if job is None or not self._is_trained(model, job.id):
            return
        # What another client made seconds ago, and Bedrock does not show yet, is not found.
        seen = not self.lag
        stopped = self.tried(lambda: job.stop_endpoint() or True)
        self._checked(model, self.check_endpoints)
        if stopped and seen and not self.disturbed:
            there = self._endpoints(REGIONS[model])[0].values()
            assert job.id not in [entry.model.job.arn for entry in there], "stopped, and there"

    def do_forget(self, who):
        self.tuners = {key: tuner for key, tuner in self.tuners.items() if key[0] != who}

    def do_turn(self, minutes):
        self.advance(60 * minutes)
        for model in REGIONS:
            self._checked(model, self.check_bounds)

    def do_fault(self, kind, how):
        self.faults.append((self.sandbox.faults.add(kind, **json.loads(how)), self.number))

    def do_lag(self, looks):
        self.lag = looks

    def do_strange(self, looks):
        self.strange = looks

    def do_die(self, point, step):
        """The client is killed before or after one of its calls."""

        def die():
            raise Died

        self.fuse = (point, die)
        try:
            self.step(step)
        except Died:
            self.do_forget(step[1])
            self.asked = self.since = None
            self._checked(step[2], self.check_jobs, self.check_endpoints)

    def do_meanwhile(self, point, steps):
        """Between two calls of one client, the other does something."""
        step, *others = steps

        def meanwhile():
            self.nested, self.disturbed = True, True
            for other in others:
                self.step(other)

        self.fuse = (point, meanwhile)
        self.step(step)
