"""After the program was killed at any moment, `--clean-up` removes everything, from another folder."""

import random
import time

import pytest

import tests.live.program  # noqa: F401 - registers the steps
from tests.live.live_run import STEPS

pytestmark = pytest.mark.campaign
SEED, KILLS = 20261129, 10
MAX_SECONDS = {"deploy": 8.0, "deploy-network": 8.0}
"""How long a step runs at most before it is killed, if not a second."""


def kill_in_step(program, run, step, seconds):
    """Start a run, and kill it some seconds after the begin of a step."""
    with program.start("--run", run) as process:
        for line in process.stdout:
            if line.startswith(f"{step}: "):
                time.sleep(seconds)
                break
        process.kill()
        process.stdout.read()


def test_clean_up_after_kills_at_random_moments_leaves_nothing(program, figure):
    before = program.list_resources()
    chance = random.Random(SEED)
    steps = chance.sample([name for name in STEPS if name != "provision"], KILLS)
    found = []
    for number, step in enumerate(steps):
        program.sandbox.reset()
        seconds = chance.uniform(0, MAX_SECONDS.get(step, 1.0))
        kill_in_step(program, f"live-00cd{number:02}", step, seconds)
        found.append(len(program.list_resources() - before))
        code, output = program.run("--clean-up")
        assert code == 0, (step, seconds, output)
        assert program.list_resources() == before, (step, seconds, output)
    assert sum(map(bool, found)) >= KILLS / 2
    figure(f"live suite: killed in {', '.join(steps)}; {sum(found)} resources removed")
