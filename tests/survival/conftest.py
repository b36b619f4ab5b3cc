"""Fixtures of the survival tests."""

import pytest

from tests.survival.stage import Stage
from tests.survival.world import World
from tunestack_sandbox import Quotas, Sandbox

HIGH_QUOTAS = Quotas(
    jobs=1000, custom_models=1000, model_units=1000, deployments=1000, deployments_in_progress=1000
)


@pytest.fixture
def stage(sandbox, tmp_path, sweep_rules):
    """Create a process that runs a script, which tests kill."""
    stage = Stage(sandbox, tmp_path, sweep_rules(sandbox))
    yield stage
    stage.reset()
    stage.close()


@pytest.fixture(scope="module", params=[False, True], ids=["answered", "ignored"])
def world(request, count_traffic):
    """Create a world in which Bedrock returns the first resource for a repeated token, and one in which it ignores the token."""
    with (
        pytest.MonkeyPatch.context() as patch,
        # Roles and files of jobs are tested elsewhere, and take most of the time.
        Sandbox(
            speed=1,
            quotas=HIGH_QUOTAS,
            ignores_repeats=request.param,
            validate_data=False,
            training_seconds=600,
        ) as sandbox,
    ):
        for name in sandbox.cleared():
            patch.delenv(name, raising=False)
        for name, value in sandbox.variables().items():
            patch.setenv(name, value)
        # boto3's retries wait in real time.
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        world = World(sandbox, "ignored" if request.param else "answered")
        with sandbox.intercept_operations(world.handle_with_delay):
            yield world
        assert sandbox.traffic.violations == []
        count_traffic(sandbox.traffic)
