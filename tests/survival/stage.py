"""A script that runs in a process, to be killed by strace at a system call."""

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3

STEPS = ("submit", "wait", "start", "stop")
REGIONS = {"on-demand": "us-east-1", "provisioned": "us-west-2"}
PHASES = [(kind, STEPS[: number + 1]) for kind in REGIONS for number in range(len(STEPS))]
EFFECTS = {
    *("connect", "sendto", "poll", "recvfrom"),
    *("write", "fsync", "chmod", "mkdir", "rename", "unlink", "unlinkat", "rmdir"),
}
"""System calls to kill at. Before `poll` a request was sent, before `recvfrom` its response has arrived."""

TTL = timedelta(hours=2)

MISSED = "finished before it was killed"
"""A response may arrive in fewer pieces than when the calls were counted."""


class Stage:
    """Runs the script in the sandbox, and reads its jobs, endpoints and schedules as root."""

    def __init__(self, sandbox, folder, sweeps):
        self.sandbox, self.folder, self.seed = sandbox, folder, 0
        self.sweeps = sweeps
        self.groups = {
            region: sandbox.deployment(region).schedule_group for region in REGIONS.values()
        }
        self.victim = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("victim.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**sandbox.environment(), "ADMIN": sandbox.admin_url, "TMPDIR": str(folder)},
        )

        assert self.victim.stdin is not None
        assert self.victim.stdout is not None
        self.input, self.output = self.victim.stdin, self.victim.stdout

    def close(self):
        self.input.close()
        self.victim.wait()
        self.output.close()

    def reset(self):
        """Delete everything, and use other training data, so that it must be uploaded."""
        self.sandbox.reset()
        for region in self.groups:
            self.delete_schedules(region)
        self.seed += 1

    def run(self, kind, steps, *, mutant="", strace=None):
        """Run the script, the last step with strace if given; return the last message of the script."""
        order = {
            "kind": kind,
            "steps": steps,
            "mutant": mutant,
            "strace": strace,
            "seed": self.seed,
            "hours": TTL.total_seconds() / 3600,
        }
        self.input.write(json.dumps(order) + "\n")
        self.input.flush()
        return json.loads(self.output.readline())

    def list_points(self, kind, steps, *, mutant=""):
        """Return the system calls of the last step to kill at, in order, as (name, number of the call in its thread)."""
        self.reset()
        trace = self.folder / "trace"
        assert self.run(kind, steps, mutant=mutant, strace=["-o", str(trace)]) == "done"
        counts: Counter[tuple[str, ...]] = Counter()
        points: dict[Any, Any] = {}
        for line in trace.read_text().splitlines():
            if not (call := re.match(r"(\d+) +(\w+)\(", line)):
                continue
            counts[call.groups()] += 1
            if call[2] in EFFECTS or "O_CREAT" in line:
                points[call[2], counts[call.groups()]] = None
        return list(points)

    def kill(self, kind, steps, point, *, mutant=""):
        """Run the script and kill it before a system call; retry if it finishes earlier."""
        name, number = point
        inject = f"inject={name}:signal=KILL:when={number}"
        strace = ["-o", "/dev/null", "-e", f"trace={name}", "-e", inject]
        for _ in range(5):
            self.reset()
            message = self.run(kind, steps, mutant=mutant, strace=strace)
            if message != "done":
                return message
        return MISSED

    def list_jobs(self, kind):
        client = boto3.client("bedrock", REGIONS[kind])
        return client.list_model_customization_jobs()["modelCustomizationJobSummaries"]

    def list_creation_times(self, kind):
        """Return the creation time of each endpoint."""
        client = boto3.client("bedrock", REGIONS[kind])
        deployments = client.list_custom_model_deployments()["modelDeploymentSummaries"]
        throughputs = client.list_provisioned_model_throughputs()["provisionedModelSummaries"]
        return [row["createdAt"] for row in deployments] + [
            row["creationTime"] for row in throughputs
        ]

    def list_schedules(self, region):
        client = boto3.client("scheduler", region)
        return client.list_schedules(GroupName=self.groups[region])["Schedules"]

    def delete_schedules(self, region):
        client = boto3.client("scheduler", region)
        for row in self.list_schedules(region):
            client.delete_schedule(Name=row["Name"], GroupName=self.groups[region])
