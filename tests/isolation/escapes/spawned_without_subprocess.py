"""A process that is started without the subprocess module, with an environment of its own."""

import os
import sys

CODE = "import boto3; print(boto3.client('bedrock', 'us-east-1').list_custom_models())"


def test_it(tunestack_sandbox):
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", CODE], environment)
    os.waitpid(pid, 0)
