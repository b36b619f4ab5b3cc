"""Run the real CDK CLI in a process."""

import os
import shutil
import subprocess

from tests.infra.example_stages import ROOT


def run_cdk(*arguments, environment, exit_code=0):
    """Run a command of the CLI, check its exit code, and return its output."""
    completed = subprocess.run(
        [
            shutil.which("cdk", path=f"{ROOT}/node_modules/.bin:{os.environ['PATH']}") or "cdk",
            *arguments,
            "--no-notices",
        ],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert completed.returncode == exit_code, completed.stdout[-3000:]
    return completed.stdout
