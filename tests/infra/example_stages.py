"""All stages and regions of the project: those of stages.py and of examples/stages."""

import runpy
from pathlib import Path

import pytest

from stages import STAGES

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    path.stem: runpy.run_path(str(path))["STAGES"]
    for path in sorted((ROOT / "examples/stages").glob("*.py"))
}
EVALUATING = EXAMPLES["three_stages"]["prod"].model_copy(update={"run_evaluation": True})
"""The stage with the most settings. It is no example, because its code would be downloaded."""
STAGE_REGIONS = [
    pytest.param(stage, region, id=f"{source}-{stage.name}-{region}")
    for source, stages in {
        "default": STAGES,
        **EXAMPLES,
        "evaluating": {"prod": EVALUATING},
    }.items()
    for stage in stages.values()
    for region in stage.regions
]
"""Parameters `stage` and `region`, one set for each stack."""
