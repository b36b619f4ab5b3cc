"""Killed at any system call that has an effect: the same script goes on, and what nobody comes back for ends.

The victim is killed by strace before the n-th call of a kind; which there are is recorded by a run that is not killed.
"""

import time
from collections import Counter
from datetime import timedelta

import pytest

from tests.survival.stage import MISSED, PHASES, REGIONS, STEPS, TTL

PERIOD = timedelta(minutes=5)
"""Of the guard; deadlines are rounded up to as much."""
BOUND = TTL + 2 * PERIOD + timedelta(minutes=1)
"""How long after its creation an endpoint is gone, by ADR 10."""


def sharp(points):
    """Leave out the calls before which nothing has happened since the one before: most polls, and connects."""
    pairs = zip([("", 0), *points], points, strict=False)
    return [
        point
        for before, point in pairs
        if point[0] not in {"poll", "connect"} or (before[0], point[0]) == ("sendto", "poll")
    ]


def resumed(stage, kind, steps, point, *, mutant=""):
    """Kill the script, run it again, and list what is wrong then."""
    word = stage.kill(kind, steps, point, mutant=mutant)
    if word != "killed":
        return [word]
    wrong = []
    # Whoever runs a script again that was killed while it stopped wants it stopped, not started first.
    again = tuple(step for step in steps if step != "start" or steps[-1] == "start")
    for script in (again, STEPS):
        if (word := stage.run(kind, script, mutant=mutant)) != "done":
            wrong.append(f"failed resume: {word}")
        if len(stage.jobs(kind)) != 1:
            wrong.append("duplicate job")
        there = len(stage.endpoints(kind))
        if script[-1] == "start" and there != 1:
            wrong.append("duplicate endpoint" if there else "no endpoint")
        if script[-1] != "start" and there:
            wrong.append("left endpoint")
    return wrong


def abandoned(stage, kind, steps, point, layer, *, mutant=""):
    """Kill the script and let nobody come back, with one layer of safety alone; tell what becomes of its endpoint."""
    word = stage.kill(kind, steps, point, mutant=mutant)
    if word != "killed":
        return word
    # What was under way when it was killed may take effect a moment later.
    if not soon(lambda: stage.endpoints(kind) or stage.schedules(REGIONS[kind]), 0.1):
        return "none"
    soon(lambda: stage.endpoints(kind), 0.1)
    created = stage.endpoints(kind)
    if layer != "schedule":
        stage.delete_schedules(REGIONS[kind])
    rules = stage.sweeps if layer == "sweep" else []
    for client, rule in rules:
        client.enable_rule(Name=rule)
    clock = stage.sandbox.clock
    first, last = min(created, default=clock.now()), max(created, default=clock.now())
    clock.advance(first + TTL - timedelta(minutes=1) - clock.now())
    early = len(stage.endpoints(kind)) < len(created) and steps[-1] == "start"
    # From the latest deadline on, the guard comes once in a period.
    for late, seconds in ((PERIOD, 2), (2 * PERIOD, 6)):
        clock.advance(last + TTL + late - clock.now())
        soon(lambda: not stage.endpoints(kind), seconds)
    clock.advance(last + BOUND - clock.now())
    left = stage.endpoints(kind)
    for client, rule in rules:
        client.disable_rule(Name=rule)
    return "left" if left else "early" if early else "ended" if created else "only armed"


def soon(condition, seconds=6.0):
    """Tell whether something comes true: a function of the account takes a moment, its first run seconds."""
    deadline = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < deadline:
        pass
    return true


def test_a_script_that_is_killed_goes_on_when_it_is_run_again(stage):
    for number, (kind, steps) in enumerate(PHASES):
        points = stage.points(kind, steps)
        point = points[len(points) * (number + 1) // 9]
        assert set(resumed(stage, kind, steps, point)) <= {MISSED}, (kind, steps, point)


@pytest.mark.parametrize(
    ("layer", "then"), [("schedule", "ended"), ("sweep", "ended"), ("none", "left")]
)
def test_what_nobody_comes_back_for_is_ended_by_any_one_layer(stage, layer, then):
    steps = STEPS[:3]
    points = stage.points("provisioned", steps)
    assert then == abandoned(stage, "provisioned", steps, points[len(points) * 4 // 5], layer)


def say(figure, what, figures):
    """Put figures into the report."""
    figure(f"{what}: {dict(figures)}")


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("kind", "steps"), PHASES, ids=[f"{kind}-{steps[-1]}" for kind, steps in PHASES]
)
def test_killed_at_any_call_the_script_goes_on(stage, kind, steps, figure):
    points = stage.points(kind, steps)
    found = [(point, word) for point in points for word in resumed(stage, kind, steps, point)]
    figures = Counter({"points": len(points)}) + Counter(word for _, word in found)
    say(figure, f"{kind} {steps[-1]}, run again", figures)
    assert [row for row in found if row[1] != MISSED] == []
    assert figures[MISSED] <= len(points) / 5


@pytest.mark.campaign
@pytest.mark.parametrize("layer", ["schedule", "sweep"])
@pytest.mark.parametrize("kind", REGIONS)
@pytest.mark.parametrize("steps", [STEPS[:3], STEPS], ids=["start", "stop"])
def test_killed_at_any_call_an_endpoint_ends_in_time_by_one_layer_alone(
    stage, kind, steps, layer, figure
):
    points = sharp(stage.points(kind, steps))
    found = [(point, abandoned(stage, kind, steps, point, layer)) for point in points]
    figures = Counter(word for _, word in found)
    say(figure, f"{kind} {steps[-1]}, never again, {layer} alone", figures)
    assert [row for row in found if row[1] not in ("none", "only armed", "ended", MISSED)] == []
    assert figures["ended"] >= 5


@pytest.mark.campaign
def test_the_oracle_sees_who_arms_too_late(stage, figure):
    steps = STEPS[:3]
    points = sharp(stage.points("provisioned", steps, mutant="arms-late"))
    found = Counter(
        abandoned(stage, "provisioned", steps, point, "schedule", mutant="arms-late")
        for point in points
    )
    say(figure, "control: arms late", found)
    assert found["left"]


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("steps", "seen"), [(STEPS[:1], "duplicate job"), (STEPS[:3], "duplicate endpoint")]
)
def test_the_oracle_sees_names_and_tokens_at_random(stage, steps, seen, figure):
    points = sharp(stage.points("on-demand", steps, mutant="random"))[-15:]
    found = [resumed(stage, "on-demand", steps, point, mutant="random") for point in points]
    figures = {"points": len(points), **Counter(word for words in found for word in set(words))}
    say(figure, f"control: at random, {steps[-1]}", figures)
    assert figures[seen]
