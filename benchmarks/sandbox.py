"""How quick the sandbox is, and whether it stays so: python benchmarks/sandbox.py [--jobs 1000] [--lists 100000].

Every figure stands next to a baseline of the same run: machines differ, ratios less so.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3

from tunestack_sandbox import Quotas, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
A_JOB = 5821
WINDOW = 1000


def seconds(action: Callable[[], object]) -> float:
    """Measure how long something takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def show(what: str, value: str, baseline: str, ratio: float) -> None:
    """Print one line of the table."""
    print(f"| {what} | {value} | {baseline} | {ratio:.2f} |", flush=True)


def starts() -> None:
    """Start to ready, with the stage deployed, against an empty one."""

    def started(*, empty: bool) -> float:
        sandbox = Sandbox(empty=empty)
        try:
            return seconds(sandbox.start)
        finally:
            sandbox.stop()

    full = statistics.median(started(empty=False) for _ in range(10))
    bare = statistics.median(started(empty=True) for _ in range(10))
    show(
        "start to ready, median of 10",
        f"{full:.2f} s with the stage deployed in two regions",
        f"{bare:.2f} s empty",
        full / bare,
    )


def life() -> None:
    """A job's whole life on the turned clock, against that of the same job at the default speed."""
    rows = [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": "user", "content": [{"text": f"number {number}?"}]},
                {"role": "assistant", "content": [{"text": str(number)}]},
            ],
        }
        for number in range(100)
    ]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()

    def lived(sandbox: Sandbox, *, turned: bool) -> float:
        variables = sandbox.variables()
        deployment = sandbox.deployment()
        session = boto3.Session("123456789012", "sandbox", region_name="us-east-1")
        bedrock = session.client("bedrock", endpoint_url=variables["AWS_ENDPOINT_URL_BEDROCK"])
        s3 = session.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"])
        key = f"{deployment.datasets_prefix}rows.jsonl"

        def live() -> None:
            s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=body)
            bedrock.create_model_customization_job(**request(deployment, key, "job"))
            if turned:
                sandbox.clock.advance(A_JOB)
            while (
                bedrock.get_model_customization_job(jobIdentifier="job")["status"] == "InProgress"
            ):
                time.sleep(0.05)

        return seconds(live)

    with Sandbox(speed=1) as sandbox:
        turned = lived(sandbox, turned=True)
    with Sandbox() as sandbox:
        default = lived(sandbox, turned=False)
    show(
        "a job's life, submit to model",
        f"{turned:.2f} s on the turned clock",
        f"{default:.2f} s at the default speed",
        turned / default,
    )


def request(deployment: Any, key: str, name: str) -> dict[str, Any]:
    """Describe a job."""
    return {
        "jobName": name,
        "customModelName": name,
        "roleArn": deployment.job_role_arn,
        "baseModelIdentifier": "amazon.nova-micro-v1:0:128k",
        "trainingDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
        "outputDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
        "hyperParameters": {"epochCount": "1"},
    }


def serve(jobs: int) -> None:
    """Be the process that is measured: a sandbox with so many jobs, until standard input ends."""
    with Sandbox(speed=1, quotas=Quotas(jobs=jobs)) as sandbox:
        deployment = sandbox.deployment()
        session = boto3.Session("123456789012", "sandbox", region_name="us-east-1")
        url = sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"]
        bedrock = session.client("bedrock", endpoint_url=url)
        for number in range(jobs):
            bedrock.create_model_customization_job(**request(deployment, "none", f"job-{number}"))
        print(url, flush=True)
        sys.stdin.read()


def lists(jobs: int, calls: int) -> None:
    """Latency and memory over many List calls: the last thousand against the first."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", "--jobs", str(jobs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    connection = http.client.HTTPConnection(urlsplit(process.stdout.readline().strip()).netloc)

    def memory() -> float:
        (line,) = [
            row
            for row in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if row.startswith("VmRSS")
        ]
        return int(line.split()[1]) / 1024

    def listed() -> None:
        connection.request(
            "GET",
            "/model-customization-jobs?maxResults=10",
            headers={"Authorization": AUTHORIZATION},
        )
        answer = json.loads(connection.getresponse().read())
        assert len(answer["modelCustomizationJobSummaries"]) == min(jobs, 10)

    windows, sizes = [], []
    for _ in range(calls // WINDOW):
        windows.append(statistics.median(seconds(listed) for _ in range(WINDOW)) * 1000)
        sizes.append(memory())
    process.stdin.close()
    process.wait()
    show(
        f"List with {jobs} jobs, median of the last {WINDOW} of {calls}",
        f"{windows[-1]:.2f} ms",
        f"{windows[0]:.2f} ms the first {WINDOW}",
        windows[-1] / windows[0],
    )
    for name, place in ((f"{WINDOW}", 0), ("half of them", len(sizes) // 2)):
        show(
            f"memory with {jobs} jobs after {calls} List calls",
            f"{sizes[-1]:.1f} MiB",
            f"{sizes[place]:.1f} MiB after {name}",
            sizes[-1] / sizes[place],
        )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--lists", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.jobs)
        return
    print("| what | figure | baseline | ratio |\n|---|---|---|---|")
    starts()
    life()
    lists(arguments.jobs, arguments.lists)


if __name__ == "__main__":
    main()
