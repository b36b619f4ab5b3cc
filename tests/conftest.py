"""Fixtures of all tests: one sandbox, and a check of every request of an AWS client."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import botocore.handlers
import pytest
from botocore.credentials import Credentials

from stages import STAGES
from tests.client_caches import share_caches
from tests.day import AS_OF
from tests.few_polls import FewPolls
from tests.process import configure_process
from tunestack import Tuner
from tunestack_sandbox import Sandbox
from tunestack_sandbox.shapes import violations

REGIONS = ("us-east-1", "us-west-2")


@dataclass
class TunerUser:
    """A user who has only the tuner policies of both regions, and signs the requests of the SDK."""

    credentials: Credentials | None = None
    is_active: bool = False

    def create(self, sandbox):
        """Create the user and its access key."""
        iam = root(sandbox, "iam")
        iam.create_user(UserName="tuner")
        for region in REGIONS:
            (stack,) = root(sandbox, "cloudformation", region).describe_stacks(
                StackName=f"Tunestack-dev-{region}"
            )["Stacks"]
            outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
            for policy in ("TunerPolicyArn", "RunnerPolicyArn"):
                iam.attach_user_policy(UserName="tuner", PolicyArn=outputs[policy])
        key = iam.create_access_key(UserName="tuner")["AccessKey"]
        self.credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def sign(self, request, **_):
        """Set the credentials of a request of the SDK before botocore signs it."""
        if self.is_active and request.context["client_config"].user_agent_extra == "tunestack":
            request.context.setdefault("signing", {})["request_credentials"] = self.credentials


def pytest_configure():
    """Configure the process before tests are collected."""
    configure_process()


def root(sandbox, service, region="us-east-1"):
    """Create a client with the credentials of the account's root user, independent of the environment."""
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
    """Checks all requests of the AWS clients in this process, and counts those of the SDK."""

    sdk_counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    invalid: list[str] = field(default_factory=list)
    total: int = 0
    sandbox_counts: Counter[str] = field(default_factory=Counter)

    def check(self, params, model, context, **_):
        """Check the parameters of a request before botocore builds it."""
        # The sandbox also sends requests to the emulator.
        if context["client_config"].user_agent_extra == "tunestack":
            self.sdk_counts[model.service_model.service_name, model.name] += 1
        if model.input_shape is None:
            return
        self.total += 1
        # A file object has no length to check.
        parameters = {name: value for name, value in params.items() if name != "Body"}
        if errors := violations(parameters, model.input_shape):
            self.invalid.append(f"{model.name}: {'; '.join(errors)}")

    def counts(self):
        """Return the numbers of checked requests in this process."""
        return Counter(
            {"clients": self.total, "sdk": sum(self.sdk_counts.values()), **self.sandbox_counts}
        )


REQUESTS = Requests()
FIGURES: list[str] = []
"""Measurements of tests, as text."""
CHECKED: Counter[str] = Counter()
"""Numbers of checked requests in child processes."""
TUNER = TunerUser()
# Every botocore session of the process uses these handlers.
botocore.handlers.BUILTIN_HANDLERS += [
    ("before-parameter-build", REQUESTS.check),
    ("before-sign", TUNER.sign),
]
share_caches()


def pytest_addoption(parser):
    parser.addoption(
        "--as-tuner",
        action="store_true",
        help="enforce IAM, and send the requests of the SDK as a user who has only the tuner policy",
    )


def create_stack(stage, region="us-east-1"):
    """Create a stack with the context of cdk.json, like the CDK CLI."""
    from aws_cdk import App  # starts Node

    from tunestack_cdk import TunestackStack

    context = json.loads((Path(__file__).parents[1] / "cdk.json").read_text())["context"]
    name = f"Tunestack-{stage.name}-{region}"
    return TunestackStack(
        App(context=context),
        name,
        stage=stage,
        region=region,
        # Not the bundle, which has megabytes: functions in the sandbox import the SDK that is tested.
        function_code=Path(__file__).parent / "evaluator",
    )


def create_template(stage, region="us-east-1"):
    """Synthesize the template of a stack."""
    from aws_cdk.assertions import Template

    return Template.from_stack(create_stack(stage, region))


@pytest.fixture(scope="session")
def template():
    """Return the template of the `dev` stage in us-east-1."""
    return create_template(STAGES["dev"])


@pytest.fixture(scope="session")
def stack():
    """Return the function that creates the stack of a stage."""
    return create_stack


@pytest.fixture(scope="session")
def synthesized():
    """Return the function that synthesizes the template of a stage."""
    return create_template


def pytest_sessionfinish(session):
    """Send the numbers of this worker to the main process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["checked"] = dict(REQUESTS.counts())
        session.config.workeroutput["figures"] = FIGURES


def pytest_testnodedown(node):
    """Add the numbers of a worker."""
    output = getattr(node, "workeroutput", {})
    CHECKED.update(output.get("checked", {}))
    FIGURES.extend(output.get("figures", ()))


def pytest_terminal_summary(terminalreporter):
    """Print the numbers of checked requests, to show that the hooks are called."""
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
    """Return a function that prints a measurement at the end of the run."""
    return FIGURES.append


@pytest.fixture(scope="session")
def count_traffic():
    """Return a function that adds the numbers of a sandbox."""

    def count(traffic):
        for name in ("requests", "answers", "errors"):
            REQUESTS.sandbox_counts[name] += getattr(traffic, name)

    return count


@pytest.fixture(scope="session")
def requests():
    """Return the checked requests of this process."""
    return REQUESTS


@pytest.fixture(scope="session")
def tunestack_sandbox_process(count_traffic, request):
    """Run a sandbox with the durations of AWS and a clock that tests advance."""
    with Sandbox(speed=1, as_of=AS_OF, enforce_iam=request.config.option.as_tuner) as sandbox:
        if request.config.option.as_tuner:
            TUNER.create(sandbox)
        # The guard would consume faults that tests inject for their own requests.
        for client, rule in list_sweep_rules(sandbox):
            client.disable_rule(Name=rule)
        yield sandbox
    count_traffic(sandbox.traffic)


def list_sweep_rules(sandbox):
    """Return the rules that start the guards of both regions."""
    return [
        (client, rule["Name"])
        for client in (root(sandbox, "events", region) for region in REGIONS)
        for rule in client.list_rules()["Rules"]
        if rule.get("ScheduleExpression") == "rate(5 minutes)"
    ]


@pytest.fixture(scope="session")
def sweep_rules():
    """Return the function that lists the rules of the guards."""
    return list_sweep_rules


@pytest.fixture
def enabled_sweep_rules(sandbox):
    """Enable the rules of the guards, which are disabled in other tests."""
    rules = list_sweep_rules(sandbox)
    assert len(rules) == 2
    for client, rule in rules:
        client.enable_rule(Name=rule)
    yield rules
    for client, rule in rules:
        client.disable_rule(Name=rule)


@pytest.fixture(scope="session", autouse=True)
def _event_loop():
    """Set an event loop that is closed at the end, because litellm does not close the loop that it creates."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(autouse=True)
def _only_valid_requests(request):
    """Fail a test that sends requests that are invalid in botocore's model, including its patterns."""
    before = len(REQUESTS.invalid)
    yield
    if "breaks_the_model" not in request.keywords:
        assert REQUESTS.invalid[before:] == []


@pytest.fixture
def sandbox(tunestack_sandbox, request):
    """Return the sandbox without jobs and endpoints, with its environment variables set.

    At the end, check the requests of other processes and the responses of the sandbox.
    """
    tunestack_sandbox.traffic.refused.clear()
    TUNER.is_active = request.config.option.as_tuner and "as_root" not in request.keywords
    yield tunestack_sandbox
    TUNER.is_active = False
    if "breaks_the_model" not in request.keywords:
        assert tunestack_sandbox.traffic.refused == []
    assert tunestack_sandbox.traffic.violations == []


@pytest.fixture
def poll(sandbox):
    """Return a Poll that advances the sandbox's clock instead of waiting.

    At least one poll is in the five minutes between the end of a start (25 minutes) and the timeout of a stop (30 minutes).
    """
    return FewPolls(longest=240, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)


@pytest.fixture
def tuner(poll):
    """Return a tuner in us-east-1, where Nova can be fine-tuned."""
    return Tuner(poll=poll)


@pytest.fixture
def west(poll):
    """Return a tuner in us-west-2, where Llama can be fine-tuned."""
    return Tuner(region="us-west-2", poll=poll)


@pytest.fixture
def retry_at_once(monkeypatch):
    """Let the retries of botocore, which wait in real time, not wait."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.fixture
def inject_error(sandbox, retry_at_once):
    """Return a function that injects errors into operations of the sandbox's Bedrock."""

    def inject(operation, code, *, times=1):
        sandbox.faults.add("error", operation=operation, code=code, times=times)

    return inject


@pytest.fixture
def list_training_files(sandbox):
    """Return a function that lists the training files in the bucket."""

    def list_keys(region="us-east-1"):
        deployment = sandbox.deployment(region)
        rows = boto3.client("s3", region).list_objects_v2(Bucket=deployment.data_bucket)
        return {row["Key"] for row in rows.get("Contents", ()) if "/outputs/" not in row["Key"]}

    return list_keys


@pytest.fixture
def create_racing_tuner(poll):
    """Return a function that creates a tuner for which an action runs once before an operation."""

    def create(operation, action, service="bedrock"):
        session, pending = boto3.Session(), [action]

        def run_action(**_):
            if pending:
                pending.pop()()

        session.events.register_first(f"before-call.{service}.{operation}", run_action)
        return Tuner(session=session, poll=poll)

    return create


@pytest.fixture
def chat():
    """Return twenty conversations."""
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
    """Return a hundred completions."""
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
