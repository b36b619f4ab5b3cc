"""A program that knows nothing of AWS's variables."""

import subprocess


def test_it(tunestack_sandbox):
    for url in ("https://bedrock.us-east-1.amazonaws.com", "http://169.254.169.254/latest"):
        subprocess.run(["curl", "-sSm", "2", url], check=False)
