"""The README and the examples work as documented."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from tests.day import AS_OF
from tunestack_sandbox import Sandbox

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SEED_VARIABLES = ("DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN", "AWS_REGION")


@contextmanager
def run_sandbox(count_traffic, **options):
    with Sandbox(speed=10_000, **options) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.refused + sandbox.traffic.violations == []


@pytest.fixture(scope="module")
def fast_sandbox(count_traffic):
    with run_sandbox(count_traffic, as_of=AS_OF) as sandbox:
        yield sandbox


@pytest.fixture
def folder(fast_sandbox, tmp_path):
    """Return a folder that contains only the examples."""
    fast_sandbox.reset()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def tickets(folder):
    subprocess.run([sys.executable, "examples/tickets.py", "tickets.jsonl"], cwd=folder, check=True)


@pytest.fixture
def run_program(fast_sandbox, folder):
    return create_runner(fast_sandbox, folder)


def create_runner(sandbox, folder):
    """Return a function that runs a program, by default with the variables of `tunestack env`."""

    def run(*command, **changes):
        programs = Path(sys.executable).parent
        environment = sandbox.environment() | {"PATH": f"{programs}:{os.environ['PATH']}"}
        for name, value in changes.items():
            environment.pop(name, None)
            environment |= {} if value is None else {name: value}
        process = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def list_endpoints(sandbox, region):
    client = boto3.client(
        "bedrock",
        region,
        endpoint_url=sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"],
        aws_access_key_id=sandbox.variables()["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="x",
    )
    return (
        client.list_custom_model_deployments()["modelDeploymentSummaries"]
        + client.list_provisioned_model_throughputs()["provisionedModelSummaries"]
    )


def test_readme_has_two_python_and_two_shell_blocks():
    assert (len(PYTHON), len(SHELL)) == (2, 2)


def test_first_example_has_ten_lines():
    assert len([line for line in PYTHON[0].splitlines() if line]) == 10


def test_first_example_of_the_readme(run_program, fast_sandbox, tickets):
    out = run_program(sys.executable, "-c", PYTHON[0])
    assert fast_sandbox.traffic.requests > 10
    assert "Endpoint deployed: tunestack-" in out
    assert out.endswith("shipping\n")
    assert list_endpoints(fast_sandbox, "us-east-1") == []


@pytest.mark.campaign
def test_first_example_works_with_the_seed_variables_and_without_ssm(
    run_program, fast_sandbox, tickets
):
    """`AWS_DEFAULT_REGION`, the stage and the document are not set, and SSM is unreachable."""
    unset = {
        name: None for name in fast_sandbox.deployment().environment() if name not in SEED_VARIABLES
    }
    out = run_program(
        sys.executable, "-c", PYTHON[0], **unset, AWS_ENDPOINT_URL_SSM="http://127.0.0.1:9"
    )
    assert out.endswith("shipping\n")


def test_example_without_dspy(run_program, fast_sandbox, tickets):
    out = run_program(sys.executable, "-W", "error", "-c", PYTHON[1])
    assert "'training_loss': " in out
    assert out.endswith("shipping\n")
    assert list_endpoints(fast_sandbox, "us-east-1") == []


def test_shell_examples_of_the_readme(count_traffic, folder):
    """The sandbox has the date of this machine, because `tunestack doctor` compares the clocks. Nova has no end of life."""
    with run_sandbox(count_traffic) as sandbox:
        out = create_runner(sandbox, folder)("bash", "-euo", "pipefail", "-c", "\n".join(SHELL))
        assert list_endpoints(sandbox, "us-east-1") == []
    # `head` can close the pipe early, so that the writer fails with 141.
    assert "| head" not in README
    assert "succeeded" in out
    assert "sales" in out


@pytest.mark.parametrize(
    ("name", "answer", "region", "with_ssm"),
    [
        pytest.param(
            *(name, answer, region, with_ssm),
            id=f"{name}-{'ssm' if with_ssm else 'seed variables'}",
            # Every check runs one without DSPy. The README has one for Bedrock.
            marks=() if with_ssm == default else pytest.mark.campaign,
        )
        for name, answer, region, default in (
            ("from_dspy.py", "refunds", "us-east-1", None),
            ("openai_from_dspy.py", "refunds", "us-east-1", None),
            ("from_python.py", "repairs", "us-west-2", True),
            ("llama_from_dspy.py", "shipping", "us-west-2", None),
        )
        for with_ssm in (True, False)
    ],
)
def test_example_prints_its_answer(
    run_program, fast_sandbox, folder, name, answer, region, with_ssm
):
    deployment = fast_sandbox.deployment(region).environment()
    changes = dict.fromkeys(deployment) | (
        {"AWS_REGION": region}
        if with_ssm
        else {seed: deployment[seed] for seed in SEED_VARIABLES}
        | {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"}
    )
    program = ROOT / "examples" / name
    if not with_ssm and region == "us-west-2":
        # The model is served by the hour and no guard is known, so `unguarded=True` is required.
        text = program.read_text().replace("start_endpoint(", "start_endpoint(unguarded=True, ")
        program = folder / name
        program.write_text(text)
        changes["PYTHONPATH"] = str(ROOT / "examples")
    out = run_program(sys.executable, str(program), **changes)
    assert f"Answer: {answer}" in out
    assert list_endpoints(fast_sandbox, region) == []


def read_blocks(name):
    text = (ROOT / "docs" / name).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.campaign
def test_openai_page_works(run_program, fast_sandbox, tickets):
    (code,) = read_blocks("openai.md")
    assert run_program(sys.executable, "-W", "error", "-c", code) == "shipping\n"


@pytest.mark.campaign
def test_dspy_page_works(run_program, fast_sandbox, tickets):
    first, later, through_run = read_blocks("dspy.md")
    run_program(
        sys.executable,
        "-c",
        "import json\n"
        "train_data = [json.loads(line) for line in open('tickets.jsonl')]\n"
        f"{first}"
        "program = dspy.Predict('ticket -> desk')\n"
        "program.set_lm(fine_tuned)\n"
        "program.save('program.json')\n"
        "job.stop_endpoint()\n",
    )
    assert list_endpoints(fast_sandbox, "us-east-1") == []
    invoke = "print(program.lm('Where is my lamp? The parcel has not come.')[0])\n"
    stop = "from tunestack.dspy import stop\nstop(program)\n"
    assert (
        run_program(
            sys.executable,
            "-c",
            later.replace("from tunestack", "import dspy\nfrom tunestack") + invoke + stop,
        )
        == "shipping\n"
    )
    assert list_endpoints(fast_sandbox, "us-east-1") == []
    examples = (
        "import json\n"
        "from dspy import Example\n"
        "rows = [json.loads(line)['messages'] for line in open('tickets.jsonl')][:20]\n"
        "trainset = [Example(ticket=row[-2]['content']).with_inputs('ticket') for row in rows]\n"
        "is_correct = None\n"
    )
    models = {
        run_program(
            sys.executable, "-c", f"{examples}{through_run}print(program.lm.model)"
        ).splitlines()[-1]  # after DSPy's progress
        for _ in range(2)
    }
    assert len(models) == 1
    assert ":custom-model-deployment/" in models.pop()
