"""Other clients against endpoints in the sandbox; `docs/clients.md` has the results.

The clients are not in the lock file of the project. This test installs them, at the versions in `requirements.txt` and
`package-lock.json`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import boto3
import openai
import pytest

from tests.sandbox.api_keys import short_term

# The packages are installed outside the sandbox, whose proxy refuses connections to the registries. The plugin does not
# change an environment that has an endpoint on loopback.
OUTSIDE = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "clients.md"
CAPABILITIES = ("chat", "stream", "tools", "structured", "api key")
KINDS = {
    "deployment": "Nova Micro, on demand",
    "provisioned": "Llama 3.1 8B, provisioned",
    "openai": "GPT-4.1 mini, at OpenAI",
}
REASONS = {
    "refused by the service": "This model doesn't support",
    "refused by the client": "not currently support tool_choice|does not support parameters",
    "up to the model": "no tool was called|did not produce structured output|"
    "Exceeded maximum output retries|JSONDecodeError",
}
"""The entry in the table for each error message, as a pattern."""


def describe_result(result):
    """Return the entry of the table for a result. Fails if the error is unknown."""
    if result in ("works", "not offered"):
        return result
    reasons = [reason for reason, pattern in REASONS.items() if re.search(pattern, result)]
    assert reasons, result
    return reasons[0]


def build_table(rows):
    """Return the lines of the table, one for each client and endpoint."""
    entries: dict[tuple[str, str], dict[str, str]] = {}
    versions: dict[str, str] = {}
    for row in rows:
        entry = entries.setdefault((row["client"], row["kind"]), {})
        entry[row["capability"]] = describe_result(row["result"])
        versions[row["client"]] = row["version"]
    return [
        f"| {client} {versions[client]} | {KINDS[kind]} | "
        + " | ".join(entry[name] for name in CAPABILITIES)
        + " |"
        for (client, kind), entry in entries.items()
    ]


@pytest.fixture
def chat():
    return [
        {
            "messages": [
                {"role": "user", "content": f"ticket {number} about parcel {number}"},
                {"role": "assistant", "content": f"parcel-{number}"},
            ]
        }
        for number in range(100)
    ]


@pytest.fixture
def completions(chat):
    rows = ([message["content"] for message in row["messages"]] for row in chat)
    return [{"prompt": prompt, "completion": completion} for prompt, completion in rows]


@pytest.fixture
def endpoints(sandbox, tuner, job, llama, chat):
    """Create an endpoint of each kind, with a question and the expected answer."""
    bedrock = boto3.client("bedrock", "us-east-1")
    deployment = bedrock.get_custom_model_deployment(
        customModelDeploymentIdentifier=job.start_endpoint().id
    )
    west = boto3.client("bedrock", "us-west-2")
    throughput = west.get_provisioned_model_throughput(provisionedModelId=llama.start_endpoint().id)
    tuner.submit("gpt-4.1-mini-2025-04-14", chat).wait()
    (openai_job,) = openai.OpenAI().fine_tuning.jobs.list()
    arguments = {
        "deployment": (
            deployment["customModelDeploymentArn"],
            "amazon.nova-micro-v1:0",
            "us-east-1",
        ),
        "provisioned": (
            throughput["provisionedModelArn"],
            "meta.llama3-1-8b-instruct-v1:0",
            "us-west-2",
        ),
        "openai": (openai_job.fine_tuned_model, "", "us-east-1"),
    }
    return [
        {
            "kind": kind,
            "arn": arn,
            "base": base,
            "region": region,
            "key": short_term("123456789012", "sandbox", region=region),
            "question": "ticket 3 about parcel 3",
            "answer": "parcel-3",
        }
        for kind, (arn, base, region) in arguments.items()
    ]


@pytest.fixture
def commands(tmp_path):
    """Return the commands that run the clients, each in a separate environment."""
    environment = tmp_path / "python"
    python = environment / "bin" / "python"
    for command in (
        ["uv", "venv", "--quiet", "--python", sys.executable, environment],
        ["uv", "pip", "install", "--quiet", "--python", python, "-r", HERE / "requirements.txt"],
    ):
        subprocess.run(command, env=OUTSIDE, check=True)
    for name in ("package.json", "package-lock.json", "clients.mjs"):
        shutil.copy(HERE / name, tmp_path)
    npm = ["npm", "ci", "--ignore-scripts", "--silent"]
    subprocess.run(npm, cwd=tmp_path, env=OUTSIDE, check=True)
    return [[python, HERE / "clients.py"], ["node", tmp_path / "clients.mjs"]]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.breaks_the_model  # langchain-aws and others send fields that are not in botocore's model
def test_each_client_has_the_documented_results(sandbox, endpoints, commands, figure):
    environment = {**os.environ, "AWS_CLI_VERSION": version("awscli")}
    rows = []
    for command in commands:
        for endpoint in endpoints:
            done = subprocess.run(
                [*command, json.dumps(endpoint)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=600,
            )
            rows += [json.loads(line) for line in done.stdout.splitlines()]
    lines = build_table(rows)
    figure("\n".join(["clients of endpoints:", *lines]))
    for row in rows:
        if row["result"] not in ("works", "not offered"):
            figure(f"{row['client']}, {row['kind']}, {row['capability']}: {row['result']}")
    columns = lines[0].count("|")
    documented = [
        line
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ") and line.count("|") == columns
    ]
    assert lines == documented[1:]
