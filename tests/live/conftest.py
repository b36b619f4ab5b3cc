"""Fixtures of the tests of the suite: the program in a sandbox."""

import pytest

from tests.live.sandbox_program import SandboxProgram
from tunestack_sandbox import Sandbox


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Return the program in a sandbox without a stage. The CDK CLI needs the real time."""
    with Sandbox(empty=True, speed=1) as sandbox:
        yield SandboxProgram(sandbox, tmp_path_factory.mktemp("live"))
