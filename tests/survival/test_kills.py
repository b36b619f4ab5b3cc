"""A script that is killed at a system call: it continues when it is run again, and its endpoint is deleted if it is not.

strace kills the script before the n-th call of a kind. The calls are recorded in a run that is not killed.
"""

from collections import Counter
from datetime import timedelta

import pytest

from tests.survival.stage import MISSED, PHASES, REGIONS, STEPS, TTL
from tests.waiting import wait_until

PERIOD = timedelta(minutes=5)
"""Time between two runs of the guard; expiries are rounded up to it."""
MAX_LIFETIME = TTL + 2 * PERIOD + timedelta(minutes=1)
"""Maximum time between the creation and the deletion of an endpoint, see ADR 10."""


def skip_waiting_calls(points):
    """Remove the calls that are not after an effect: connects, and most polls."""
    pairs = zip([("", 0), *points], points, strict=False)
    return [
        point
        for before, point in pairs
        if point[0] not in {"poll", "connect"} or (before[0], point[0]) == ("sendto", "poll")
    ]


def kill_and_resume(stage, kind, steps, point, *, mutant=""):
    """Kill the script and run it again; return the problems."""
    message = stage.kill(kind, steps, point, mutant=mutant)
    if message != "killed":
        return [message]
    problems = []
    # A script that was killed during its stop is run again without its start.
    again = tuple(step for step in steps if step != "start" or steps[-1] == "start")
    for script in (again, STEPS):
        message = stage.run(kind, script, mutant=mutant)
        if message != "done":
            problems.append(f"failed resume: {message}")
        if len(stage.list_jobs(kind)) != 1:
            problems.append("duplicate job")
        count = len(stage.list_creation_times(kind))
        if script[-1] == "start" and count != 1:
            problems.append("duplicate endpoint" if count else "no endpoint")
        if script[-1] != "start" and count:
            problems.append("left endpoint")
    return problems


def kill_and_abandon(stage, kind, steps, point, layer, *, mutant=""):
    """Kill the script without running it again, with one layer of protection; return what happens to its endpoint."""
    message = stage.kill(kind, steps, point, mutant=mutant)
    if message != "killed":
        return message
    # A request that was sent before the kill may take effect a moment later.
    if not wait_until(
        lambda: stage.list_creation_times(kind) or stage.list_schedules(REGIONS[kind]), 0.5
    ):
        return "none"
    wait_until(lambda: stage.list_creation_times(kind), 0.5)
    created = stage.list_creation_times(kind)
    if layer != "schedule":
        stage.delete_schedules(REGIONS[kind])
    rules = stage.sweeps if layer == "sweep" else []
    for client, rule in rules:
        client.enable_rule(Name=rule)
    clock = stage.sandbox.clock
    first, last = min(created, default=clock.now()), max(created, default=clock.now())
    clock.advance(first + TTL - timedelta(minutes=1) - clock.now())
    early = len(stage.list_creation_times(kind)) < len(created) and steps[-1] == "start"
    # After the latest expiry, the guard runs once in each period.
    for late, seconds in ((PERIOD, 2), (2 * PERIOD, 6 if layer == "none" else 30)):
        clock.advance(last + TTL + late - clock.now())
        wait_until(lambda: not stage.list_creation_times(kind), seconds)
    clock.advance(last + MAX_LIFETIME - clock.now())
    left = stage.list_creation_times(kind)
    for client, rule in rules:
        client.disable_rule(Name=rule)
    return "left" if left else "early" if early else "deleted" if created else "only scheduled"


def test_killed_script_continues_when_it_is_run_again(stage):
    for number, (kind, steps) in list(enumerate(PHASES))[::2]:
        points = stage.list_points(kind, steps)
        point = points[len(points) * (number + 1) // 9]
        assert set(kill_and_resume(stage, kind, steps, point)) <= {MISSED}, (kind, steps, point)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("schedule", "deleted"),
        pytest.param("sweep", "deleted", marks=pytest.mark.campaign),
        pytest.param("none", "left", marks=pytest.mark.campaign),  # control
    ],
)
def test_abandoned_endpoint_is_deleted_by_each_layer_alone(stage, layer, expected):
    steps = STEPS[:3]
    points = stage.list_points("provisioned", steps)
    # A script may need fewer system calls than the one that was recorded.
    outcomes = (
        kill_and_abandon(stage, "provisioned", steps, point, layer)
        for point in points[len(points) * 4 // 5 :]
    )
    assert next(outcome for outcome in outcomes if outcome != MISSED) == expected


def report(figure, label, counts):
    figure(f"{label}: {dict(counts)}")


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("kind", "steps"), PHASES, ids=[f"{kind}-{steps[-1]}" for kind, steps in PHASES]
)
def test_script_killed_at_any_call_continues(stage, kind, steps, figure):
    points = stage.list_points(kind, steps)
    results = [
        (point, problem)
        for point in points
        for problem in kill_and_resume(stage, kind, steps, point)
    ]
    figures = Counter({"points": len(points)}) + Counter(outcome for _, outcome in results)
    report(figure, f"{kind} {steps[-1]}, run again", figures)
    assert [row for row in results if row[1] != MISSED] == []
    assert figures[MISSED] <= len(points) / 5


@pytest.mark.campaign
@pytest.mark.parametrize("layer", ["schedule", "sweep"])
@pytest.mark.parametrize("kind", REGIONS)
@pytest.mark.parametrize("steps", [STEPS[:3], STEPS], ids=["start", "stop"])
def test_endpoint_of_a_script_killed_at_any_call_is_deleted_by_one_layer(
    stage, kind, steps, layer, figure
):
    points = skip_waiting_calls(stage.list_points(kind, steps))
    results = [(point, kill_and_abandon(stage, kind, steps, point, layer)) for point in points]
    figures = Counter(outcome for _, outcome in results)
    report(figure, f"{kind} {steps[-1]}, never again, {layer} alone", figures)
    assert [
        row for row in results if row[1] not in ("none", "only scheduled", "deleted", MISSED)
    ] == []
    assert figures["deleted"] >= 5


@pytest.mark.campaign
def test_late_schedule_is_found(stage, figure):
    steps = STEPS[:3]
    points = skip_waiting_calls(stage.list_points("provisioned", steps, mutant="arms-late"))
    results = Counter(
        kill_and_abandon(stage, "provisioned", steps, point, "schedule", mutant="arms-late")
        for point in points
    )
    report(figure, "control: arms late", results)
    assert results["left"]


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("steps", "problem"), [(STEPS[:1], "duplicate job"), (STEPS[:3], "duplicate endpoint")]
)
def test_random_names_and_tokens_are_found(stage, steps, problem, figure):
    points = skip_waiting_calls(stage.list_points("on-demand", steps, mutant="random"))[-15:]
    results = [
        kill_and_resume(stage, "on-demand", steps, point, mutant="random") for point in points
    ]
    figures = {
        "points": len(points),
        **Counter(row for problems in results for row in set(problems)),
    }
    report(figure, f"control: at random, {steps[-1]}", figures)
    assert figures[problem]
