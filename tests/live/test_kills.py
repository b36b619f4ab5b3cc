"""After the program was killed at any moment, `--clean-up` removes everything, from another folder."""

import random
import time

import pytest

import tests.live.program  # noqa: F401 - registers the steps
from tests.live.live_run import STEPS

pytestmark = pytest.mark.campaign
SEED, KILLS = 20261129, 10


def kill_at(program, run, seconds):
    """Start a run, and kill it after some seconds. Return its output."""
    with program.start("--run", run) as process:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        return process.stdout.read()


@pytest.fixture(scope="module")
def duration(program):
    """Return the seconds that a whole run takes."""
    started = time.monotonic()
    code, output = program.run("--run", "live-00cc00")
    assert code == 0, output
    return time.monotonic() - started


def test_clean_up_after_kills_at_random_moments_leaves_nothing(program, duration, figure):
    before = program.list_resources()
    moments = random.Random(SEED)
    found, steps = [], []
    for number in range(KILLS):
        program.sandbox.reset()
        output = kill_at(program, f"live-00cd{number:02}", moments.uniform(2, duration))
        remaining = program.list_resources() - before
        found.append(len(remaining))
        steps += [
            line.split(":")[0] for line in output.splitlines() if line.split(":")[0] in STEPS
        ][-1:]
        code, output = program.run("--clean-up")
        assert code == 0, (steps, output)
        assert program.list_resources() == before, (steps, output)
    assert sum(map(bool, found)) >= KILLS / 2
    figure(f"live suite: killed in {', '.join(steps)}; {sum(found)} resources removed")
