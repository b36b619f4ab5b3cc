"""What the README and the examples show is what happens."""

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
SEEDS = ("DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN", "AWS_REGION")


@contextmanager
def run_sandbox(count_traffic, **options):
    with Sandbox(speed=10_000, **options) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.refused + sandbox.traffic.violations == []


@pytest.fixture(scope="module")
def fast(count_traffic):
    with run_sandbox(count_traffic, as_of=AS_OF) as sandbox:
        yield sandbox
    assert sandbox.traffic.requests > 100


@pytest.fixture
def place(fast, tmp_path):
    """A folder with the examples, as the checkout has them, and nothing else."""
    fast.reset()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def tickets(place):
    subprocess.run([sys.executable, "examples/tickets.py", "tickets.jsonl"], cwd=place, check=True)


@pytest.fixture
def reader(fast, place):
    return make_reader(fast, place)


def make_reader(sandbox, place):
    """Return a function that runs a program as a reader would, by default with what `eval "$(tunestack env)"` sets."""

    def run(*command, **changes):
        programs = Path(sys.executable).parent
        environment = sandbox.environment() | {"PATH": f"{programs}:{os.environ['PATH']}"}
        for name, value in changes.items():
            environment.pop(name, None)
            environment |= {} if value is None else {name: value}
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def endpoints(sandbox, region):
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


def test_there_is_something_to_run():
    assert (len(PYTHON), len(SHELL)) == (2, 2)


def test_the_readmes_first_screen(reader, fast):
    out = reader(sys.executable, "-c", PYTHON[0])
    assert "Fine-tuning job status: succeeded" in out
    assert "Endpoint deployed: tunestack-" in out
    assert out.endswith("shipping\n")
    assert endpoints(fast, "us-east-1") == []


def test_the_first_screen_with_only_the_seed_variables_and_no_ssm(reader, fast):
    """`AWS_DEFAULT_REGION`, the stage and the document are not set, and SSM can't be reached."""
    unset = {name: None for name in fast.deployment().environment() if name not in SEEDS}
    out = reader(
        sys.executable, "-c", PYTHON[0], **unset, AWS_ENDPOINT_URL_SSM="http://127.0.0.1:9"
    )
    assert out.endswith("shipping\n")


def test_the_readme_without_dspy(reader, fast, tickets):
    out = reader(sys.executable, "-W", "error", "-c", PYTHON[1])
    assert "'training_loss': " in out
    assert out.endswith("shipping\n")
    assert endpoints(fast, "us-east-1") == []


def test_the_readmes_shell(count_traffic, place):
    """On the machine's date: `tunestack doctor` compares the clocks. Only Nova is used, which has no end of life."""
    with run_sandbox(count_traffic) as today:
        out = make_reader(today, place)("bash", "-euo", "pipefail", "-c", "\n".join(SHELL))
        assert endpoints(today, "us-east-1") == []
    assert "| head" not in README  # a reader that ends early ends its writer, at random, with 141
    assert "succeeded" in out
    assert "sales" in out


@pytest.mark.parametrize(
    ("name", "answer", "region", "with_ssm"),
    [
        pytest.param(
            *(name, answer, region, with_ssm),
            id=f"{name}-{'ssm' if with_ssm else 'seed variables'}",
            # One for each provider, and one without DSPy, is run in every check.
            marks=() if with_ssm == usual else pytest.mark.campaign,
        )
        for name, answer, region, usual in (
            ("from_dspy.py", "refunds", "us-east-1", True),
            ("openai_from_dspy.py", "refunds", "us-east-1", False),
            ("from_python.py", "repairs", "us-west-2", True),
            ("llama_from_dspy.py", "shipping", "us-west-2", None),
        )
        for with_ssm in (True, False)
    ],
)
def test_the_examples(reader, fast, place, name, answer, region, with_ssm):
    deployment = fast.deployment(region).environment()
    changes = dict.fromkeys(deployment) | (
        {"AWS_REGION": region}
        if with_ssm
        else {seed: deployment[seed] for seed in SEEDS}
        | {"AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9"}
    )
    program = ROOT / "examples" / name
    if not with_ssm and region == "us-west-2":
        # Served by the hour, and nothing is known of a guard: it has to be said that this is meant.
        text = program.read_text().replace("start_endpoint(", "start_endpoint(unguarded=True, ")
        program = place / name
        program.write_text(text)
        changes["PYTHONPATH"] = str(ROOT / "examples")
    out = reader(sys.executable, str(program), **changes)
    assert f"Answer: {answer}" in out
    assert endpoints(fast, region) == []


def blocks(name):
    text = (ROOT / "docs" / name).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.campaign
def test_the_page_about_openai(reader, fast, tickets):
    (code,) = blocks("openai.md")
    assert reader(sys.executable, "-W", "error", "-c", code) == "shipping\n"


@pytest.mark.campaign
def test_the_page_about_dspy(reader, fast, tickets):
    first, tomorrow = blocks("dspy.md")
    reader(
        sys.executable,
        "-c",
        "import json\n"
        "train_data = [json.loads(line) for line in open('tickets.jsonl')]\n"
        f"{first}"
        "program = dspy.Predict('ticket -> desk')\n"
        "program.set_lm(tuned)\n"
        "program.save('program.json')\n"
        "job.stop_endpoint()\n",
    )
    assert endpoints(fast, "us-east-1") == []
    said = "print(program.lm('Where is my lamp? The parcel has not come.')[0])\n"
    again = "from tunestack.dspy import stop\nstop(program)\n"
    assert (
        reader(
            sys.executable,
            "-c",
            tomorrow.replace("from tunestack", "import dspy\nfrom tunestack") + said + again,
        )
        == "shipping\n"
    )
    assert endpoints(fast, "us-east-1") == []
