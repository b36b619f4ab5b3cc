"""What the campaigns of survival share."""

import pytest

from tests.survival.stage import Stage
from tests.survival.world import World
from tunestack_sandbox import Quotas, Sandbox

ENOUGH = Quotas(
    jobs=1000, custom_models=1000, model_units=1000, deployments=1000, deployments_in_progress=1000
)


@pytest.fixture
def stage(sandbox, tmp_path, sweep_rules):
    """Where a script acts that is killed."""
    stage = Stage(sandbox, tmp_path, sweep_rules(sandbox))
    yield stage
    stage.begin()
    stage.close()


@pytest.fixture(scope="module", params=[False, True], ids=["answered", "ignored"])
def world(request, count_traffic):
    """A world for each way in which Bedrock may treat a token that it has seen before."""
    with (
        pytest.MonkeyPatch.context() as patch,
        # What jobs do with roles and files is tested elsewhere, and takes most of the time.
        Sandbox(
            speed=1,
            quotas=ENOUGH,
            ignores_repeats=request.param,
            validate_data=False,
            training_seconds=600,
        ) as sandbox,
    ):
        for name in sandbox.cleared():
            patch.delenv(name, raising=False)
        for name, value in sandbox.variables().items():
            patch.setenv(name, value)
        # Tries that boto3 makes again pause on the wall's clock.
        patch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        made = World(sandbox, "ignored" if request.param else "answered")
        with sandbox.intercept_operations(made.show_late):
            yield made
        assert [] == sandbox.traffic.violations
        count_traffic(sandbox.traffic)
