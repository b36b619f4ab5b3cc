"""Each operation of the sandbox, called with boto3 and the `aws` CLI: the successful call and each listed error."""

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

from tests.parameters import every
from tests.sandbox.operation_parameters import PARAMETERS
from tests.sandbox.operations import CASES, INJECTED_ERRORS, MODELS, list_cases
from tests.sandbox.samples import A_DEPLOYMENT, A_JOB, A_THROUGHPUT
from tunestack_sandbox.bedrock import OPERATIONS

TABLE = Path(__file__).parents[2] / "docs" / "sandbox-operations.md"
ONCE = Config(retries={"total_max_attempts": 1})
UNKNOWN_ID = "000000000000"
# Errors that operations list, and that occur in the sandbox only as faults.
ONLY_AS_FAULT = {
    ("CreateCustomModelDeployment", "ConflictException"),
    ("DeleteCustomModelDeployment", "ConflictException"),
    ("GetUseCaseForModelAccess", "ValidationException"),
    ("InvokeModel", "ServiceQuotaExceededException"),
    ("InvokeModelWithResponseStream", "ServiceQuotaExceededException"),
}
READING = ("Get", "List", "Converse", "CountTokens")
"""The beginnings of operations that do not change the account."""
# The CLI does not support streams.
NOT_IN_CLI = {"ConverseStream", "InvokeModelWithResponseStream"}
_VOLATILE = [
    (re.compile(r"/[0-9a-z]{12}\b"), "/0123456789ab"),
    (re.compile(r"tunestack-dev-[a-z0-9-]+"), "bucket"),
    (re.compile(r"(assumed-role|role)/nobody-\d+"), r"\1/nobody"),
]


class Account:
    """An account that contains all resources of the cases."""

    def __init__(self, sandbox, job_request):
        sandbox.reset()
        self.sandbox = sandbox
        self.bedrock = boto3.client("bedrock", config=ONCE)
        self.job_request = job_request
        models = {}
        for name, base in (("old", "nova-micro"), ("spare", "nova-micro"), ("lite", "nova-lite")):
            request = job_request(name, baseModelIdentifier=_BASES[base])
            self.bedrock.create_model_customization_job(
                **request, jobTags=[{"key": "team", "value": "search"}]
            )
        sandbox.clock.advance(A_JOB)
        for name in ("old", "spare", "lite"):
            job = self.bedrock.get_model_customization_job(jobIdentifier=name)
            models[name] = job["outputModelArn"]
        self.create_throughput("throughput-1", models["old"])
        self.create_throughput("throughput-2", models["old"], commitmentDuration="OneMonth")
        deployment = self.deploy("endpoint-1", models["old"])
        sandbox.clock.advance(max(A_DEPLOYMENT, A_THROUGHPUT))
        running = self.bedrock.create_model_customization_job(
            **job_request("running"), clientRequestToken="used"
        )
        self.create_throughput("throughput-3", models["old"])
        job = self.bedrock.get_model_customization_job(jobIdentifier="old")
        self.names = {
            "role": sandbox.deployment().job_role_arn,
            "data": job["trainingDataConfig"]["s3Uri"],
            "output": job["outputDataConfig"]["s3Uri"],
            "token": "used",
            "job": job["jobArn"],
            "job_name": "old",
            "no_job": job["jobArn"][:-12] + UNKNOWN_ID,
            "running_job": running["jobArn"],
            "model": models["old"],
            "model_name": "old",
            "no_model": models["old"][:-12] + UNKNOWN_ID,
            "spare_model": models["spare"],
            "lite_model": models["lite"],
            "deployment": deployment,
            "creating": self.deploy("creating", models["old"]),
            "no_deployment": deployment[:-12] + UNKNOWN_ID,
            "west": deployment.replace("us-east-1", "us-west-2"),
            "throughput": self.bedrock.get_provisioned_model_throughput(
                provisionedModelId="throughput-1"
            )["provisionedModelArn"],
            "over_quota": "over",
        }

    def create_throughput(self, name, model, **more):
        self.bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model, modelUnits=1, **more
        )

    def deploy(self, name, model):
        return self.bedrock.create_custom_model_deployment(
            modelDeploymentName=name, modelArn=model
        )["customModelDeploymentArn"]

    def fill(self, operation):
        """Create resources until the quota of an operation is reached."""
        if operation == "CreateModelCustomizationJob":
            for number in range(9):
                self.bedrock.create_model_customization_job(**self.job_request(f"full-{number}"))
        else:
            self.deploy("filling", self.names["model"])

    def fill_placeholders(self, value):
        """Replace the placeholders in parameters by the names of resources."""
        if isinstance(value, dict):
            return {key: self.fill_placeholders(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.fill_placeholders(entry) for entry in value]
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda name: self.names[name[1]], value)
        return value


_BASES = {"nova-micro": "amazon.nova-micro-v1:0:128k", "nova-lite": "amazon.nova-lite-v1:0:300k"}


@pytest.fixture(scope="module")
def responses():
    """Responses to boto3 in this test run, by operation."""
    return {}


@pytest.fixture
def create_credentials(sandbox):
    """Return a function that creates credentials of a role without permissions."""
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
        credentials = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")[
            "Credentials"
        ]
        return {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }

    yield keys
    iam.delete_role(RoleName=name)


def call_boto3(case, params):
    # The default session caches its credentials: calls of another role need a new session.
    session = boto3.Session() if case.is_unauthorized else boto3
    client = session.client(case.service, config=ONCE)
    try:
        answer = getattr(client, xform_name(case.operation))(**params)
        for member in ("stream", "body"):
            if hasattr(answer.get(member), "__iter__"):
                list(answer[member])
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None, ""


def build_arguments(case, params, folder):
    """Return the arguments of the `aws` CLI for a case."""
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


def parse_error(code, text):
    """Return the error code and message that the CLI printed."""
    if code == 0:
        return None, ""
    match = re.search(
        r"An error occurred \((\w+)\) when calling the \w+ operation(?: \(.*?\))?: (.*)", text
    )
    assert match, text
    return match[1], match[2].strip()


@pytest.fixture(scope="module")
def drivers():
    """Drivers of the CLI in this process, because starting a process for each call takes a second."""
    return {}


@pytest.fixture
def call_cli(tmp_path, drivers):
    def call(case, params):
        # The driver caches its credentials.
        if case.is_unauthorized not in drivers:
            drivers[case.is_unauthorized] = create_clidriver()
        driver = drivers[case.is_unauthorized]
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = driver.main(build_arguments(case, params, tmp_path))
        return parse_error(code, errors.getvalue())

    return call


def call_cli_process(case, params, folder):
    done = subprocess.run(
        [Path(sys.executable).with_name("aws"), *build_arguments(case, params, folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return parse_error(done.returncode, done.stderr)


def _reaches_quota(case):
    return "{over_quota}" in str(case.params)


@pytest.fixture
def run_cases(sandbox, job_request, create_credentials, monkeypatch, tmp_path):
    """Return a function that runs the cases of an operation with a client and returns the responses."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    # The CLI sets this variable on import, but the sandbox removes all variables of AWS from the environment.
    monkeypatch.setenv("AWS_DATA_PATH", str(Path(awscli.__file__).parent / "data"))

    unchanged: list[Account] = []

    def run(operation, client):
        account = unchanged.pop() if unchanged else Account(sandbox, job_request)
        results = []
        # The successful call and a reached quota change the account, so they come last.
        for case in sorted(
            list_cases(operation), key=lambda case: (case.code is None, _reaches_quota(case))
        ):
            if _reaches_quota(case):
                account.fill(operation)
            elif case.code is None and any(map(_reaches_quota, list_cases(operation))):
                account = Account(sandbox, job_request)
            elif case.code is None and operation == "GetUseCaseForModelAccess":
                account.bedrock.put_use_case_for_model_access(formData=b'{"companyName": "x"}')
            if case.is_injected:
                sandbox.faults.add("error", operation=operation, code=case.code, times=1)
            with monkeypatch.context() as patch:
                for name, value in (create_credentials() if case.is_unauthorized else {}).items():
                    patch.setenv(name, value)
                code, message = client(case, account.fill_placeholders(case.params))
            results.append((case, code, message))
        if operation.startswith(READING):
            unchanged.append(account)
        return results

    yield run
    sandbox.reset()


@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", every(3, sorted(OPERATIONS)))
def test_boto3_gets_the_documented_response(run_cases, operation, responses):
    responses[operation] = run_cases(operation, call_boto3)
    for case, code, _ in responses[operation]:
        assert case.code == code, case.case


@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", every(12, sorted(OPERATIONS - NOT_IN_CLI)))
def test_the_aws_cli_gets_the_same_response_as_boto3(run_cases, operation, call_cli):
    for case, code, _ in run_cases(operation, call_cli):
        assert case.code == code, case.case


@pytest.mark.campaign
@pytest.mark.breaks_the_model
@pytest.mark.parametrize("operation", sorted(OPERATIONS - NOT_IN_CLI))
def test_the_aws_cli_process_gets_the_same_response_as_boto3(run_cases, operation, tmp_path):
    for case, code, _ in run_cases(
        operation, lambda case, params: call_cli_process(case, params, tmp_path)
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
    injected = {(case.operation, case.code) for case in CASES if case.is_injected}
    assert {pair for pair in injected if pair[1] not in INJECTED_ERRORS} <= ONLY_AS_FAULT


@pytest.mark.breaks_the_model
def test_the_table_in_the_documentation_matches_the_responses(run_cases, responses):
    """Set WRITE_DOCS=1 to update the table."""
    rows = []
    for operation in sorted(OPERATIONS):
        results = responses.get(operation) or run_cases(operation, call_boto3)
        for case, code, message in sorted(results, key=lambda row: row[1] is not None):
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
