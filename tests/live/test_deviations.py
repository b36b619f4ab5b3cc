"""The suite finds wrong behavior: each planted deviation is reported by the step that is meant to find it."""

import re

import pytest

from tests.live.deviations import DEVIATIONS

pytestmark = pytest.mark.campaign
RUN = "live-00bb00"
EARLIER = {"invoke": "serve", "update": "serve", "delete": "serve"}


@pytest.fixture(scope="module")
def deployed(program):
    """Deploy the stage once."""
    code, output = program.run("--run", RUN, "--only", "deploy")
    assert code == 0, output
    return program


def run_steps(program, step):
    steps = ",".join(filter(None, (EARLIER.get(step), step)))
    program.sandbox.reset()
    return program.run("--run", RUN, "--only", steps)


def find_wrong(output):
    """Return the step and the assumption of each line with a wrong result."""
    step = None
    for line in output.splitlines():
        if match := re.match(r"([a-z-]+): ", line):
            step = match[1]
        elif match := re.match(r"    WRONG ([a-z-]+):", line):
            yield step, match[1]


@pytest.mark.parametrize("step", sorted({step for step, _, _ in DEVIATIONS.values()}))
def test_step_passes_without_deviation(deployed, step):
    code, output = run_steps(deployed, step)
    assert code == 0, output
    assert not list(find_wrong(output))


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviation_is_reported_by_its_step(deployed, name):
    step, assumption, plant = DEVIATIONS[name]
    deployed.sandbox.reset()
    with plant(deployed):
        steps = ",".join(filter(None, (EARLIER.get(step), step)))
        code, output = deployed.run("--run", RUN, "--only", steps)
    assert code == 1, output
    wrong = set(find_wrong(output))
    assert (step, assumption) in wrong, output
    assert {step} == {name for name, _ in wrong}, output
