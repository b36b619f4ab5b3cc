"""All stages and regions of the project: those of stages.py and of examples/stages."""

import runpy
from pathlib import Path

import pytest

from stages import STAGES
from tests.parameters import every
from tunestack_cdk import RunSchedule

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    path.stem: runpy.run_path(str(path))["STAGES"]
    for path in sorted((ROOT / "examples/stages").glob("*.py"))
}
SCHEDULES = (
    RunSchedule(name="nightly", expression="cron(0 2 * * ? *)"),
    RunSchedule(
        name="curated", expression="rate(7 days)", sweep="s3://example-curated-data/tickets/a.toml"
    ),
)
EVALUATING = EXAMPLES["three_stages"]["prod"].model_copy(
    update={"run_evaluation": True, "run_schedules": SCHEDULES}
)
"""The stage with the most settings. It is no example, because its code would be downloaded."""
STAGE_REGIONS = every(
    3,
    [
        pytest.param(stage, region, id=f"{source}-{stage.name}-{region}")
        for source, stages in {
            "evaluating": {"prod": EVALUATING},
            "default": STAGES,
            **EXAMPLES,
        }.items()
        for stage in stages.values()
        for region in stage.regions
    ],
)
"""Parameters `stage` and `region`, one set for each stack, of which a part runs always."""
