"""A process that gets the search path and the home folder only."""

import os
import subprocess
import sys

CODE = "import boto3; print(boto3.client('bedrock', 'us-east-1').list_custom_models())"


def test_it(tunestack_sandbox):
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=False)
