"""What all tests share: one sandbox, and a check of every request that any AWS client sends."""

import asyncio
import functools
import json
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import botocore.handlers
import botocore.session
import pytest
from botocore.credentials import Credentials

from stages import STAGES
from tests.day import AS_OF
from tunestack import Poll, Tuner
from tunestack_sandbox import Sandbox
from tunestack_sandbox.shapes import violations

REGIONS = ("us-east-1", "us-west-2")


@dataclass
class TunerUser:
    """Somebody with the tuner policies of both regions, and nothing else, who signs what the SDK sends."""

    credentials: Credentials | None = None
    acting: bool = False

    def exist(self, sandbox):
        """Begin to be."""
        iam = root(sandbox, "iam")
        iam.create_user(UserName="tuner")
        for region in REGIONS:
            (stack,) = root(sandbox, "cloudformation", region).describe_stacks(
                StackName=f"Tunestack-dev-{region}"
            )["Stacks"]
            outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
            iam.attach_user_policy(UserName="tuner", PolicyArn=outputs["TunerPolicyArn"])
        key = iam.create_access_key(UserName="tuner")["AccessKey"]
        self.credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def sign(self, request, **_):
        """Called by botocore before it signs a request."""
        if self.acting and request.context["client_config"].user_agent_extra == "tunestack":
            request.context.setdefault("signing", {})["request_credentials"] = self.credentials


def pytest_configure():
    """Set up the process, before any test is collected."""
    # litellm fetches its price list when it is imported, unless it is told to use the one in the package.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    allow_signals()


def allow_signals():
    """Let what tests start be ended: what runs in the background, or by `nohup`, ignores signals, and passes that on."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def root(sandbox, service, region="us-east-1"):
    """A client of the account's root, whatever the environment."""
    variables = sandbox.variables()
    return boto3.client(
        service,
        region,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        verify=variables.get("AWS_CA_BUNDLE"),
    )


@dataclass
class Requests:
    """Checks the requests of this process's AWS clients, and counts those of the SDK."""

    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    of_all: int = 0
    at_sandboxes: Counter[str] = field(default_factory=Counter)

    def check(self, params, model, context, **_):
        """Called by botocore before it builds a request."""
        # The sandbox's own look at the emulator is not the SDK's.
        if context["client_config"].user_agent_extra == "tunestack":
            self.seen[model.service_model.service_name, model.name] += 1
        if model.input_shape is None:
            return
        self.of_all += 1
        # A file has no length to check.
        plain = {name: value for name, value in params.items() if name != "Body"}
        if problems := violations(plain, model.input_shape):
            self.broken.append(f"{model.name}: {'; '.join(problems)}")

    def counts(self):
        """How much was checked in this process."""
        return Counter(
            {"clients": self.of_all, "sdk": sum(self.seen.values()), **self.at_sandboxes}
        )


REQUESTS = Requests()
FIGURES: list[str] = []
"""What tests have measured, in words."""
CHECKED: Counter[str] = Counter()
"""What was checked in processes that this one started."""
TUNER = TunerUser()
# The one place that every botocore session of the process takes its handlers from.
botocore.handlers.BUILTIN_HANDLERS += [
    ("before-parameter-build", REQUESTS.check),
    ("before-sign", TUNER.sign),
]
# Sessions share a loader: every client would otherwise parse its service's model again, which takes 100 ms.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def pytest_addoption(parser):
    parser.addoption(
        "--as-tuner",
        action="store_true",
        help="enforce IAM, and let the SDK's requests be those of a user with the tuner policy alone",
    )


def stack_of(stage, region="us-east-1"):
    """Make a stack as the CLI does: without cdk.json's context, another would be tested."""
    from aws_cdk import App  # starts Node

    from tunestack_cdk import TunestackStack

    context = json.loads((Path(__file__).parents[1] / "cdk.json").read_text())["context"]
    name = f"Tunestack-{stage.name}-{region}"
    return TunestackStack(App(context=context), name, stage=stage, region=region)


def template_of(stage, region="us-east-1"):
    """Synthesize the template of a stack."""
    from aws_cdk.assertions import Template

    return Template.from_stack(stack_of(stage, region))


@pytest.fixture(scope="session")
def template():
    """The template of the `dev` stage in us-east-1."""
    return template_of(STAGES["dev"])


@pytest.fixture(scope="session")
def stack():
    """Make the stack of any stage."""
    return stack_of


@pytest.fixture(scope="session")
def synthesized():
    """Synthesize the template of any stage."""
    return template_of


def pytest_sessionfinish(session):
    """Tell the process that started this one what was checked here."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["checked"] = dict(REQUESTS.counts())
        session.config.workeroutput["figures"] = FIGURES


def pytest_testnodedown(node):
    """Take what a process checked that was started by this one."""
    output = getattr(node, "workeroutput", {})
    CHECKED.update(output.get("checked", {}))
    FIGURES.extend(output.get("figures", ()))


def pytest_terminal_summary(terminalreporter):
    """Say how much was checked: a hook that saw nothing would find nothing."""
    for text in FIGURES:
        terminalreporter.write_line(text)
    checked = CHECKED + REQUESTS.counts()
    terminalreporter.write_line(
        f"checked against botocore's model, patterns included: {checked['clients']} requests of the "
        f"tests' AWS clients ({checked['sdk']} of them the SDK's); at the sandboxes "
        f"{checked['requests']} requests, {checked['answers']} answers, {checked['errors']} errors"
    )


@pytest.fixture(scope="session")
def figure():
    """Say at the end of the run what was measured."""
    return FIGURES.append


@pytest.fixture(scope="session")
def count_traffic():
    """Add what a sandbox checked to the sum."""

    def count(traffic):
        for name in ("requests", "answers", "errors"):
            REQUESTS.at_sandboxes[name] += getattr(traffic, name)

    return count


@pytest.fixture(scope="session")
def requests():
    """What was checked in this process so far."""
    return REQUESTS


@pytest.fixture(scope="session")
def tunestack_sandbox_process(count_traffic, request):
    """A sandbox in which everything takes as long as on AWS, on a clock that tests turn."""
    with Sandbox(speed=1, as_of=AS_OF, enforce_iam=request.config.option.as_tuner) as sandbox:
        if request.config.option.as_tuner:
            TUNER.exist(sandbox)
        # It would take faults that are meant for a test's own calls; what the guard does is tested where it is on.
        for client, rule in sweeps(sandbox):
            client.disable_rule(Name=rule)
        yield sandbox
    count_traffic(sandbox.traffic)


def sweeps(sandbox):
    """The rules by which the guards of both regions sweep."""
    return [
        (client, rule["Name"])
        for client in (root(sandbox, "events", region) for region in REGIONS)
        for rule in client.list_rules()["Rules"]
        if rule.get("ScheduleExpression") == "rate(5 minutes)"
    ]


@pytest.fixture(scope="session")
def sweep_rules():
    """Find the rules by which the guards of a sandbox sweep."""
    return sweeps


@pytest.fixture
def sweeping(sandbox):
    """The guards sweep, as they do where no test keeps them from it."""
    rules = sweeps(sandbox)
    assert len(rules) == 2
    for client, rule in rules:
        client.enable_rule(Name=rule)
    yield rules
    for client, rule in rules:
        client.disable_rule(Name=rule)


@pytest.fixture(scope="session", autouse=True)
def _event_loop():
    """Have one that is closed: litellm takes the thread's, or makes one and leaves it to the collector."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(autouse=True)
def _only_valid_requests(request):
    """Fail the test whose requests break botocore's model, patterns included."""
    before = len(REQUESTS.broken)
    yield
    if "breaks_the_model" not in request.keywords:
        assert REQUESTS.broken[before:] == []


@pytest.fixture
def sandbox(tunestack_sandbox, request):
    """The sandbox, without jobs and endpoints, with the environment set.

    What other processes send it is checked here, as are its own answers.
    """
    tunestack_sandbox.traffic.refused.clear()
    TUNER.acting = request.config.option.as_tuner and "as_root" not in request.keywords
    yield tunestack_sandbox
    TUNER.acting = False
    if "breaks_the_model" not in request.keywords:
        assert tunestack_sandbox.traffic.refused == []
    assert tunestack_sandbox.traffic.violations == []


@pytest.fixture
def poll(sandbox):
    """Waits that turn the sandbox's clock instead of the wall's; with few looks, each of which takes a hundredth of a second.

    Still, one falls between the end of a start of 25 minutes and a stop's deadline five minutes later.
    """
    return Poll(longest=240, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)


@pytest.fixture
def tuner(poll):
    """A tuner in us-east-1, where Nova is tuned."""
    return Tuner(poll=poll)


@pytest.fixture
def west(poll):
    """A tuner in us-west-2, where Llama is tuned."""
    return Tuner(region="us-west-2", poll=poll)


@pytest.fixture
def broken(sandbox, monkeypatch):
    """Let operations of the sandbox's Bedrock answer an error a number of times."""
    # botocore's own retries pause on the wall's clock.
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def make(operation, code, *, times=1):
        sandbox.faults.add("error", operation=operation, code=code, times=times)

    return make


@pytest.fixture
def objects(sandbox):
    """List the training files in the bucket."""

    def keys(region="us-east-1"):
        deployment = sandbox.deployment(region)
        rows = boto3.client("s3", region).list_objects_v2(Bucket=deployment.data_bucket)
        return {row["Key"] for row in rows.get("Contents", ()) if "/outputs/" not in row["Key"]}

    return keys


@pytest.fixture
def meanwhile(poll):
    """A tuner, in whose calls of an operation something else happens first, once."""

    def make(operation, action, service="bedrock"):
        session, pending = boto3.Session(), [action]

        def before(**_):
            if pending:
                pending.pop()()

        session.events.register_first(f"before-call.{service}.{operation}", before)
        return Tuner(session=session, poll=poll)

    return make


@pytest.fixture
def chat():
    """Twenty conversations."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"What is number {number}?"},
                {"role": "assistant", "content": f"It is {number}."},
            ]
        }
        for number in range(20)
    ]


@pytest.fixture
def completions():
    """A hundred completions."""
    return [
        {"prompt": f"What is number {number}?", "completion": f"It is {number}."}
        for number in range(100)
    ]


@pytest.fixture
def job(tuner, chat):
    return tuner.submit("nova-micro", chat).wait()


@pytest.fixture
def llama(west, completions):
    return west.submit("llama-3-1-8b", completions).wait()
