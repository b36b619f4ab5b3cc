"""A run of the suite: its account, sessions, budget and results, and the registry of steps."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import ClientError
from botocore.session import get_session

from tests.live.assumptions import ASSUMPTIONS
from tests.live.cleanup import Cleanup
from tests.live.recorder import Recorder, Redactor
from tunestack import Poll, Tuner
from tunestack.catalog import BaseModel
from tunestack.deployment import Deployment

RECORDS = 100
"""Training records; Llama needs at least 100."""
_NOT_YET = ("AccessDenied", "AccessDeniedException", "InvalidClientTokenId")
"""Error codes while IAM distributes a new role."""
_JOB_TIMEOUT = timedelta(hours=48)


class RealClock:
    """The clock of this machine."""

    is_simulated = False

    def sleep(self, seconds, *, functions_run=False):
        """Wait. On a simulated clock, functions have to run meanwhile if `functions_run` is true."""
        time.sleep(seconds)

    def monotonic(self):
        return time.monotonic()

    def now(self):
        return datetime.now(UTC)


class LiveError(Exception):
    """The suite can't continue; the message says what to do."""


@dataclass
class Budget:
    """The limit of a run in US dollars. Nothing is spent beyond it."""

    limit: float
    reserved: dict[str, float] = field(default_factory=dict)

    @property
    def spent(self):
        """The sum of all reserved amounts."""
        return sum(self.reserved.values())

    def reserve(self, purpose, usd):
        """Reserve an amount, once for each purpose.

        Raises:
            LiveError: less than this is left.
        """
        if purpose not in self.reserved and self.spent + usd > self.limit:
            raise LiveError(
                f"{purpose} costs up to ${usd:.2f}, and ${self.limit - self.spent:.2f} of --budget "
                f"{self.limit:g} is left: raise the budget"
            )
        self.reserved[purpose] = usd


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step: it creates something that costs little, and settles assumptions."""

    name: str
    run: Callable[[Any], object]
    settles: tuple[str, ...]
    usd: Callable[[Any], float]
    """The highest cost in US dollars: a function of the run."""
    duration: str
    """The duration on AWS."""

    @property
    def purpose(self):
        """The first line of the docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]


STEPS: dict[str, Step] = {}


def step(*, settles=(), usd=0.0, duration="a minute"):
    """Register a function as a step, in the order of the definitions. `usd` is an amount, or a function of the run."""

    def register(function):
        name = function.__name__.replace("_", "-")
        cost = usd if callable(usd) else lambda _: usd
        assert set(settles) <= ASSUMPTIONS.keys(), name
        STEPS[name] = Step(
            name=name, run=function, settles=tuple(settles), usd=cost, duration=duration
        )
        return function

    return register


@dataclass
class LiveRun:
    """One run. Everything is found in the account by the run ID, so a run can be continued after a crash.

    The run ID is the name of the stage. Everything that is created has it as the tag `tunestack:stage`.
    """

    run_id: str
    region: str
    model: BaseModel
    budget: Budget
    clock: Any = field(default_factory=RealClock)
    recorder: Recorder | None = None
    provisioned_price: float | None = None
    has_failed_jobs: bool = False
    redactor: Redactor = field(default_factory=Redactor)
    verdicts: dict[str, tuple[bool, str]] = field(default_factory=dict)

    @cached_property
    def admin(self):
        """The session of the caller."""
        return self._watch(boto3.Session(region_name=self.region), "admin")

    @cached_property
    def account(self):
        """The account ID."""
        return self.admin.client("sts").get_caller_identity()["Account"]

    @property
    def other_stage(self):
        """The name of a stage that the tuner policy must not touch. The clean-up finds its resources, too."""
        return f"{self.run_id}-net"

    @cached_property
    def stack(self):
        """The name of the stack."""
        return f"Tunestack-{self.run_id}-{self.region}"

    @cached_property
    def outputs(self):
        """The outputs of the stack.

        Raises:
            LiveError: it is not deployed.
        """
        try:
            (stack,) = self.admin.client("cloudformation").describe_stacks(StackName=self.stack)[
                "Stacks"
            ]
        except ClientError as error:
            raise LiveError(f"{self.stack} is not deployed: run the step 'deploy'") from error
        return {row["OutputKey"]: row["OutputValue"] for row in stack.get("Outputs", ())}

    @cached_property
    def deployment(self):
        """The deployed stage. Its names become placeholders in the cassette."""
        deployment = Deployment.from_json(self.outputs["TunestackDeployment"], origin=self.stack)
        self.redactor.names |= {
            deployment.data_bucket: "<bucket>",
            deployment.job_role_arn: "<job-role>",
            deployment.model_key_arn: "<model-key>",
            self.account: "<account>",
            self.run_id: "<stage>",
        }
        return deployment

    @cached_property
    def tuner_session(self):
        """A session of the tuner role, which has the tuner policy only. It is renewed every hour."""
        sts = boto3.Session(region_name=self.region).client("sts")

        def assume():
            keys = sts.assume_role(
                RoleArn=self.outputs["TunerRoleArn"], RoleSessionName=self.run_id
            )["Credentials"]
            return {
                "access_key": keys["AccessKeyId"],
                "secret_key": keys["SecretAccessKey"],
                "token": keys["SessionToken"],
                "expiry_time": keys["Expiration"].isoformat(),
            }

        session: Any = get_session()
        session._credentials = DeferredRefreshableCredentials(
            refresh_using=assume, method="assume-role", time_fetcher=self.clock.now
        )
        # A new role can be assumed after some seconds, and its permissions may follow later.
        self.wait_for("the tuner role", lambda: _accepts(assume), minutes=5)
        tuner = boto3.Session(botocore_session=session, region_name=self.region)
        bedrock = tuner.client("bedrock")
        self.wait_for("its permissions", lambda: _accepts(bedrock.list_custom_models), minutes=2)
        return self._watch(tuner, "tuner")

    @cached_property
    def tuner(self):
        """The SDK with the permissions of the tuner policy. It does not encrypt models: that is an assumption of its own."""
        poll = Poll(sleep=self.clock.sleep, clock=self.clock.monotonic, events=False)
        deployment = replace(self.deployment, model_key_arn=None)
        return Tuner(deployment=deployment, session=self.tuner_session, poll=poll)

    @cached_property
    def bedrock(self):
        """A client of Bedrock with the permissions of the tuner policy."""
        return self.tuner_session.client("bedrock")

    def records(self):
        """Return training data, different in each run, so that the jobs of earlier runs are not used again."""
        for number in range(RECORDS):
            yield {
                "messages": [
                    {"role": "user", "content": f"Parcel {number} of {self.run_id}?"},
                    {"role": "assistant", "content": f"Parcel {number} arrives on day {number}."},
                ]
            }

    def training_usd(self, jobs=1):
        """Return the cost of jobs with one epoch, and of storing their models for a day."""
        cost = self.tuner_cost
        if cost.training_usd is None or cost.storage_usd_a_month is None:
            raise LiveError(f"the catalog has no price of {self.model.key}: use another --model")
        return jobs * (cost.training_usd + cost.storage_usd_a_month / 30)

    @cached_property
    def tuner_cost(self):
        """The cost of one job, estimated without a deployment."""
        tuner, records = Tuner(region=self.region), list(self.records())
        return tuner.cost(self.model.key, records, hyperparameters={"epochCount": 1})

    @cached_property
    def jobs(self):
        """Two jobs that have ended with success. They differ in the learning rate.

        Raises:
            LiveError: they can't be paid, or did not succeed before. They are not repeated in the same run.
        """
        if self.has_failed_jobs:
            raise LiveError("there are no trained models: see the step 'train'")
        self.budget.reserve("step train", self.training_usd(2))
        self.has_failed_jobs = True
        jobs = [
            self.tuner.submit(
                self.model.key,
                list(self.records()),
                name=self.run_id,
                hyperparameters={"epochCount": 1, "learningRate": rate},
                max_cost=1.0,
                queue=True,
            )
            for rate in ("1e-5", "2e-5")
        ]
        for job in jobs:
            job.wait(_JOB_TIMEOUT, stall_after=_JOB_TIMEOUT)
        self.has_failed_jobs = False
        return jobs

    def check(self, assumption, holds, observed):
        """Record the result of an assumption; the first result that does not hold is kept."""
        if self.verdicts.get(assumption, (True, ""))[0]:
            self.verdicts[assumption] = (bool(holds), str(observed))

    def check_error(self, assumption, codes, call):
        """Call a function that must fail with one of the error codes, and return its result if it does not."""
        try:
            result = call()
        except ClientError as error:
            self.check(assumption, error.response["Error"]["Code"] in codes, error)
            return None
        self.check(assumption, False, f"no error, but the response {sorted(result)}")
        return result

    def check_call(self, assumption, call):
        """Call a function that must not fail, and return its result; `None` if it fails."""
        try:
            result = call()
        except ClientError as error:
            self.check(assumption, False, error)
            return None
        self.check(assumption, True, "accepted")
        return result

    def find_resource(self, kind, logical_id):
        """Return the physical ID of the resource of the stack whose logical ID has a prefix."""
        pages = self.admin.client("cloudformation").get_paginator("list_stack_resources")
        return next(
            row["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.stack)
            for row in page["StackResourceSummaries"]
            if row["ResourceType"] == kind and row["LogicalResourceId"].startswith(logical_id)
        )

    def clean_up(self):
        """Remove everything of this run, and return what is left."""
        return Cleanup(self.admin, self.region, self.run_id).run(self.clock)

    def wait_for(self, what, get, *, minutes, interval=15.0, functions_run=False):
        """Call a function until its result is true, and return the result; return `None` after the time."""
        deadline = self.clock.monotonic() + minutes * 60
        print(f"    waiting for {what}, at most {minutes:.0f} minutes", flush=True)
        while not (result := get()):
            if self.clock.monotonic() >= deadline:
                return None
            self.clock.sleep(interval, functions_run=functions_run)
        return result

    def upload_records(self):
        """Upload the training file that requests without the SDK use, and return its URI."""
        key = f"{self.deployment.datasets_prefix}{self.run_id}.jsonl"
        body = format_records(self.records())
        self.tuner_session.client("s3").put_object(
            Bucket=self.deployment.data_bucket, Key=key, Body=body
        )
        return f"s3://{self.deployment.data_bucket}/{key}"

    def _watch(self, session, role):
        if self.recorder is not None:
            self.recorder.watch(session, role)
        return session


def find(call):
    """Return the result of a Get operation; `None` if the resource does not exist, or is not visible yet."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def _accepts(call):
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_YET:
            raise
        return None


def format_records(records):
    """Return records as a file in the format `bedrock-conversation-2024`."""
    lines = [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": message["role"], "content": [{"text": message["content"]}]}
                for message in record["messages"]
            ],
        }
        for record in records
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
