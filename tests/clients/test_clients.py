"""What other people's clients can do with an endpoint: tried for real, and written down in `docs/clients.md`.

Their packages are no part of the project's lock: they are installed for this test, at the versions of `requirements.txt` and
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
"""What stands in the table, by what the client says where it does not work."""


def cell(result):
    """Return the entry of the table for a result; fails on one that nobody has explained."""
    if result in ("works", "not offered"):
        return result
    found = [reason for reason, words in REASONS.items() if re.search(words, result)]
    assert found, result
    return found[0]


def table(rows):
    """Return the lines of the table: a client and an endpoint each."""
    cells, versions = {}, {}
    for row in rows:
        cells.setdefault((row["client"], row["kind"]), {})[row["capability"]] = cell(row["result"])
        versions[row["client"]] = row["version"]
    return [
        f"| {client} {versions[client]} | {KINDS[kind]} | "
        + " | ".join(entry[name] for name in CAPABILITIES)
        + " |"
        for (client, kind), entry in cells.items()
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
    """An endpoint of each kind, with what it is to be asked and what it answers."""
    bedrock = boto3.client("bedrock", "us-east-1")
    deployment = bedrock.get_custom_model_deployment(
        customModelDeploymentIdentifier=str(job.start_endpoint())
    )
    west = boto3.client("bedrock", "us-west-2")
    throughput = west.get_provisioned_model_throughput(
        provisionedModelId=str(llama.start_endpoint())
    )
    tuner.submit("gpt-4.1-mini-2025-04-14", chat).wait()
    (tuned,) = openai.OpenAI().fine_tuning.jobs.list()
    known = {
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
        "openai": (tuned.fine_tuned_model, "", "us-east-1"),
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
        for kind, (arn, base, region) in known.items()
    ]


@pytest.fixture
def commands(tmp_path):
    """The programs to run, each in an environment of its own."""
    environment = tmp_path / "python"
    python = environment / "bin" / "python"
    for command in (
        ["uv", "venv", "--quiet", "--python", sys.executable, environment],
        ["uv", "pip", "install", "--quiet", "--python", python, "-r", HERE / "requirements.txt"],
    ):
        subprocess.run(command, check=True)
    for name in ("package.json", "package-lock.json", "clients.mjs"):
        shutil.copy(HERE / name, tmp_path)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=tmp_path, check=True)
    return [[python, HERE / "clients.py"], ["node", tmp_path / "clients.mjs"]]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.breaks_the_model  # langchain-aws and others send what botocore's model does not have
def test_every_client_does_what_its_row_in_the_docs_says(sandbox, endpoints, commands, figure):
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
    lines = table(rows)
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
