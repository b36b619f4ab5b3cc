"""Every operation that the sandbox plays, by boto3 and by the `aws` CLI: its good path, and each error that it lists."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from functools import reduce
from pathlib import Path

import awscli
import boto3
import pytest
from awscli.clidriver import create_clidriver
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.operation_parameters import PARAMETERS
from tests.sandbox.operations import BY_FAULT, CASES, MODELS, cases_of
from tests.sandbox.samples import A_DEPLOYMENT, A_JOB, A_THROUGHPUT
from tunestack_sandbox.bedrock import OPERATIONS

TABLE = Path(__file__).parents[2] / "docs" / "sandbox-operations.md"
ONCE = Config(retries={"total_max_attempts": 1})
NOBODY = "000000000000"
# Errors that operations list and nothing in the sandbox brings about.
ONLY_AS_FAULT = {
    ("CreateCustomModelDeployment", "ConflictException"),
    ("DeleteCustomModelDeployment", "ConflictException"),
    ("GetUseCaseForModelAccess", "ValidationException"),
    ("InvokeModel", "ServiceQuotaExceededException"),
    ("InvokeModelWithResponseStream", "ServiceQuotaExceededException"),
}
# The CLI leaves out what it can't print: streams.
NOT_IN_CLI = {"ConverseStream", "InvokeModelWithResponseStream"}
_VOLATILE = [
    (re.compile(r"/[0-9a-f]{12}\b"), "/0123456789ab"),
    (re.compile(r"tunestack-dev-[a-z0-9-]+"), "bucket"),
    (re.compile(r"(assumed-role|role)/nobody-\d+"), r"\1/nobody"),
]


class World:
    """An account in which everything that the cases name is there."""

    def __init__(self, sandbox, asked):
        sandbox.reset()
        self.sandbox = sandbox
        self.bedrock = boto3.client("bedrock", config=ONCE)
        self.asked = asked
        models = {}
        for name, base in (("old", "nova-micro"), ("spare", "nova-micro"), ("lite", "nova-lite")):
            request = asked(name, baseModelIdentifier=_BASES[base])
            tags = [{"key": "team", "value": "search"}]
            self.bedrock.create_model_customization_job(**request, jobTags=tags)
        sandbox.clock.advance(A_JOB)
        for name in ("old", "spare", "lite"):
            job = self.bedrock.get_model_customization_job(jobIdentifier=name)
            models[name] = job["outputModelArn"]
        self.buy("bought", models["old"])
        self.buy("committed", models["old"], commitmentDuration="OneMonth")
        deployment = self.deploy("deployed", models["old"])
        sandbox.clock.advance(max(A_DEPLOYMENT, A_THROUGHPUT))
        running = self.bedrock.create_model_customization_job(
            **asked("running"), clientRequestToken="used"
        )
        self.buy("buying", models["old"])
        job = self.bedrock.get_model_customization_job(jobIdentifier="old")
        self.names = {
            "role": sandbox.deployment().job_role_arn,
            "data": job["trainingDataConfig"]["s3Uri"],
            "output": job["outputDataConfig"]["s3Uri"],
            "token": "used",
            "job": job["jobArn"],
            "job_name": "old",
            "no_job": job["jobArn"][:-12] + NOBODY,
            "running_job": running["jobArn"],
            "model": models["old"],
            "model_name": "old",
            "no_model": models["old"][:-12] + NOBODY,
            "spare_model": models["spare"],
            "lite_model": models["lite"],
            "deployment": deployment,
            "creating": self.deploy("creating", models["old"]),
            "no_deployment": deployment[:-12] + NOBODY,
            "west": deployment.replace("us-east-1", "us-west-2"),
            "throughput": self.bedrock.get_provisioned_model_throughput(
                provisionedModelId="bought"
            )["provisionedModelArn"],
            "over_quota": "over",
        }

    def buy(self, name, model, **more):
        self.bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model, modelUnits=1, **more
        )

    def deploy(self, name, model):
        return self.bedrock.create_custom_model_deployment(
            modelDeploymentName=name, modelArn=model
        )["customModelDeploymentArn"]

    def fill(self, operation):
        """Use a quota up."""
        if operation == "CreateModelCustomizationJob":
            for number in range(9):
                self.bedrock.create_model_customization_job(**self.asked(f"full-{number}"))
        else:
            self.deploy("filling", self.names["model"])

    def filled_in(self, value):
        """Put the world's names into parameters."""
        if isinstance(value, dict):
            return {key: self.filled_in(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.filled_in(entry) for entry in value]
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda name: self.names[name[1]], value)
        return value


_BASES = {"nova-micro": "amazon.nova-micro-v1:0:128k", "nova-lite": "amazon.nova-lite-v1:0:300k"}


@pytest.fixture(scope="module")
def answered():
    """What boto3 was answered in this run, by operation."""
    return {}


@pytest.fixture
def nobody(sandbox):
    """The credentials of a role that may nothing."""
    iam = boto3.client("iam")
    name = f"nobody-{os.getpid()}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
        ],
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

    def keys():
        found = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }

    yield keys
    iam.delete_role(RoleName=name)


def by_boto3(case, params):
    # Not the default session when nobody asks: it keeps the credentials that it found first.
    session = boto3.Session() if case.as_nobody else boto3
    client = session.client(case.service, config=ONCE)
    try:
        answer = getattr(client, xform_name(case.operation))(**params)
        for member in ("stream", "body"):
            if hasattr(answer.get(member), "__iter__"):
                list(answer[member])
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None, ""


def command_line(case, params, folder):
    """Write a case for the `aws` CLI."""
    blobs = {name: value for name, value in params.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in params.items() if name not in blobs}
    line = [case.service, xform_name(case.operation, "-")]
    if case.operation == "InvokeModel":
        line += [str(folder / "answer"), "--model-id", plain["modelId"]]
    else:
        line += ["--cli-input-json", json.dumps(plain)]
    for name, value in blobs.items():
        file = folder / name
        file.write_bytes(value)
        line += [f"--{xform_name(name, '-')}", f"fileb://{file}"]
    return line


def said(code, text):
    """Read what the CLI prints."""
    if code == 0:
        return None, ""
    found = re.search(
        r"An error occurred \((\w+)\) when calling the \w+ operation(?: \(.*?\))?: (.*)", text
    )
    assert found, text
    return found[1], found[2].strip()


@pytest.fixture(scope="module")
def drivers():
    """The CLI's own code, in this process: a process of its own each time takes a second."""
    return {}


@pytest.fixture
def by_cli(tmp_path, drivers):
    def call(case, params):
        # It keeps the credentials that it found first.
        if case.as_nobody not in drivers:
            drivers[case.as_nobody] = create_clidriver()
        driver = drivers[case.as_nobody]
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = driver.main(command_line(case, params, tmp_path))
        return said(code, errors.getvalue())

    return call


def by_cli_process(case, params, folder):
    done = subprocess.run(
        [Path(sys.executable).with_name("aws"), *command_line(case, params, folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return said(done.returncode, done.stderr)


def _fills(case):
    return "{over_quota}" in str(case.params)


@pytest.fixture
def ask(sandbox, asked, nobody, monkeypatch, tmp_path):
    """Run the cases of an operation by a client; returns what came of each."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    # The CLI sets it when it is loaded, and the sandbox's environment has nothing of AWS that is not its own.
    monkeypatch.setenv("AWS_DATA_PATH", str(Path(awscli.__file__).parent / "data"))

    def run(operation, client):
        world, found = World(sandbox, asked), []
        # The good path changes the world, and a quota that is used up does too.
        for case in sorted(cases_of(operation), key=lambda case: (case.code is None, _fills(case))):
            if _fills(case):
                world.fill(operation)
            elif case.code is None and any(map(_fills, cases_of(operation))):
                world = World(sandbox, asked)
            elif case.code is None and operation == "GetUseCaseForModelAccess":
                world.bedrock.put_use_case_for_model_access(formData=b'{"companyName": "x"}')
            if case.fault:
                sandbox.faults.add("error", operation=operation, code=case.code, times=1)
            with monkeypatch.context() as patch:
                for name, value in (nobody() if case.as_nobody else {}).items():
                    patch.setenv(name, value)
                code, message = client(case, world.filled_in(case.params))
            found.append((case, code, message))
        sandbox.reset()
        return found

    return run


@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_boto3_gets_the_documented_response(ask, operation, answered):
    answered[operation] = ask(operation, by_boto3)
    for case, code, _ in answered[operation]:
        assert case.code == code, case.case


@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", sorted(OPERATIONS - NOT_IN_CLI))
def test_the_aws_cli_gets_the_same_response_as_boto3(ask, operation, by_cli):
    for case, code, _ in ask(operation, by_cli):
        assert case.code == code, case.case


@pytest.mark.campaign
@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", sorted(OPERATIONS - NOT_IN_CLI))
def test_the_aws_cli_process_gets_the_same_response_as_boto3(ask, operation, tmp_path):
    for case, code, _ in ask(
        operation, lambda case, params: by_cli_process(case, params, tmp_path)
    ):
        assert case.code == code, case.case


def test_every_error_that_an_operation_lists_has_a_case():
    listed = {
        (operation, shape.name)
        for operation in OPERATIONS
        for model in MODELS.values()
        if operation in model.operation_names
        for shape in model.operation_model(operation).error_shapes
    }
    assert listed == {(case.operation, case.code) for case in CASES if case.code}
    assert set(PARAMETERS) == OPERATIONS
    by_fault = {(case.operation, case.code) for case in CASES if case.fault}
    assert {pair for pair in by_fault if pair[1] not in BY_FAULT} <= ONLY_AS_FAULT


@pytest.mark.breaks_the_model
def test_the_table_in_the_documentation_matches_the_responses(ask, answered):
    """Run with WRITE_DOCS=1 to write it anew."""
    rows = []
    for operation in sorted(OPERATIONS):
        found = answered.get(operation) or ask(operation, by_boto3)
        for case, code, message in sorted(found, key=lambda row: row[1] is not None):
            shown = reduce(lambda text, swap: swap[0].sub(swap[1], text), _VOLATILE, message)
            shown = shown if len(shown) < 160 else shown[:157] + "..."
            shown = shown.replace("|", "\\|")
            written = f"`{shown}`" if shown else ""
            rows.append(f"| {operation} | {case.case} | {code or ''} | {written} |")
    text = TABLE.read_text() if TABLE.exists() else ""
    head = text.partition("| operation |")[0]
    table = "\n".join(["| operation | case | code | message |", "|---|---|---|---|", *rows])
    if os.environ.get("WRITE_DOCS"):
        TABLE.write_text(f"{head}{table}\n")
    assert TABLE.read_text() == f"{head}{table}\n"
