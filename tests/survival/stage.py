"""A script, the stage that it acts on, and what strace does to it meanwhile."""

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import boto3

STEPS = ("submit", "wait", "start", "stop")
REGIONS = {"on-demand": "us-east-1", "provisioned": "us-west-2"}
PHASES = [(kind, STEPS[: number + 1]) for kind in REGIONS for number in range(len(STEPS))]
EFFECTS = {
    *("connect", "sendto", "poll", "recvfrom"),
    *("write", "fsync", "chmod", "mkdir", "rename", "unlink", "unlinkat", "rmdir"),
}
"""Before `poll` a request is under way, before `recvfrom` its answer has come."""

TTL = timedelta(hours=2)

MISSED = "over before it was killed"
"""An answer may come in fewer pieces than when the calls were counted."""


class Stage:
    """Where the victim acts, and what root sees of it there."""

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

    def close(self):
        self.victim.stdin.close()
        self.victim.wait()
        self.victim.stdout.close()

    def begin(self):
        """Nothing is there, and the data is new: it has to be uploaded."""
        self.sandbox.reset()
        for region in self.groups:
            self.delete_schedules(region)
        self.seed += 1

    def run(self, kind, steps, *, mutant="", strace=None):
        """Run the script; with strace, of which the last step is traced alone. Returns its last words."""
        order = {
            "kind": kind,
            "steps": steps,
            "mutant": mutant,
            "strace": strace,
            "seed": self.seed,
            "hours": TTL.total_seconds() / 3600,
        }
        self.victim.stdin.write(json.dumps(order) + "\n")
        self.victim.stdin.flush()
        return json.loads(self.victim.stdout.readline())

    def points(self, kind, steps, *, mutant=""):
        """List the calls of the last step to be killed at, in their order, as (name, n-th of the thread)."""
        self.begin()
        trace = self.folder / "trace"
        assert self.run(kind, steps, mutant=mutant, strace=["-o", str(trace)]) == "done"
        seen, points = Counter(), {}
        for line in trace.read_text().splitlines():
            if not (call := re.match(r"(\d+) +(\w+)\(", line)):
                continue
            seen[call.groups()] += 1
            if call[2] in EFFECTS or "O_CREAT" in line:
                points[call[2], seen[call.groups()]] = None
        return list(points)

    def kill(self, kind, steps, point, *, mutant=""):
        """Run the script anew and kill it before a call; tries again if it is over before."""
        name, number = point
        inject = f"inject={name}:signal=KILL:when={number}"
        strace = ["-o", "/dev/null", "-e", f"trace={name}", "-e", inject]
        for _ in range(5):
            self.begin()
            if (word := self.run(kind, steps, mutant=mutant, strace=strace)) != "done":
                return word
        return MISSED

    def jobs(self, kind):
        client = boto3.client("bedrock", REGIONS[kind])
        return client.list_model_customization_jobs()["modelCustomizationJobSummaries"]

    def endpoints(self, kind):
        """When each endpoint was created."""
        client = boto3.client("bedrock", REGIONS[kind])
        deployed = client.list_custom_model_deployments()["modelDeploymentSummaries"]
        bought = client.list_provisioned_model_throughputs()["provisionedModelSummaries"]
        return [row["createdAt"] for row in deployed] + [row["creationTime"] for row in bought]

    def schedules(self, region):
        client = boto3.client("scheduler", region)
        return client.list_schedules(GroupName=self.groups[region])["Schedules"]

    def delete_schedules(self, region):
        client = boto3.client("scheduler", region)
        for row in self.schedules(region):
            client.delete_schedule(Name=row["Name"], GroupName=self.groups[region])
