"""Histories of faults, deaths and races: one job of a content, one endpoint of a model, and nothing outlives its time.

Whatever else helps is off: the schedule alone must do, and the sweep alone, and the client's own stop.
"""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some
from hypothesis.errors import Flaky

from tests.survival.world import CONTENTS

LAYERS = {"the client's stop": (), "the schedule": ("schedule",), "the sweep": ("sweep",)}


def faults():
    """What docs/sandbox.md has of faults of operations, each once or for longer than boto3 tries again."""
    for times in (1, 2, 7):
        yield "throttle", {"operation": "*", "times": times}
        yield "error", {"operation": "*", "times": times}
        yield "lost-reply", {"operation": "Create*", "times": times}
        yield "lost-reply", {"operation": "*", "times": times}
    yield "throttle", {"operation": "Create*", "times": 5}
    yield "throttle", {"operation": "Get*", "times": 5}
    yield "error", {"operation": "Delete*", "times": 6}
    yield "error", {"operation": "Create*", "times": 5}
    yield "lost-reply", {"operation": "Delete*", "times": 5}
    yield "lost-reply", {"operation": "TagResource", "times": 5}
    yield "lost-reply", {"operation": "StopModelCustomizationJob", "times": 5}
    yield "expired-credentials", {"operation": "*", "times": 1}
    yield "clock-skew", {"operation": "*", "times": 1}
    quota = {"code": "ServiceQuotaExceededException", "times": 1}
    yield "error", {"operation": "CreateProvisionedModelThroughput", **quota}
    yield "internal-failure", {"times": 1}
    yield "endpoint-failure", {"times": 1}


def each(kind, *more):
    """A step of either client with any content."""
    return [(kind, who, *content, *more) for who in range(2) for content in OFTEN]


# What is billed by the hour, and the same data, more often than the rest.
OFTEN = [CONTENTS[number] for number in (0, 1, 2, 2, 2, 3)]
CALLS = [
    *2 * each("submit"),
    *each("rerun"),
    *each("cancel"),
    *each("wait"),
    *each("start", None),
    *each("start", 1 / 6),
    *each("start", 2),
    *each("start", 23),
    *each("extend", 1),
    *each("extend", 6),
    *each("extend", 30),
    *4 * each("stop"),
]
AROUND = [
    ("nothing",),
    *[("forget", who) for who in range(2)],
    *2 * [("turn", minutes) for minutes in (1, 7, 30, 100, 400)],
    *[("fault", kind, json.dumps(how)) for kind, how in faults()],
    *[("lag", looks) for looks in (1, 3, 8)],
    *[("strange", looks) for looks in (1, 4)],
]


RACES = [
    (step, other)
    for step in sorted(set(CALLS), key=str)
    for other in sorted(set(CALLS), key=str)
    if step[1] == 0 and other[1] == 1 and step[2:4] == other[2:4]
]
POINTS = some.integers(1, 20)
STEPS = some.one_of(
    some.sampled_from(AROUND),
    some.sampled_from(CALLS),
    some.sampled_from(CALLS),
    some.tuples(some.just("die"), POINTS, some.sampled_from(CALLS)),
    some.tuples(some.just("meanwhile"), POINTS, some.sampled_from(RACES)),
)


def histories(world, layers, *, number, length, phases=tuple(Phase)):
    """Live so many histories; returns how many were lived until something did not hold, and what."""
    lived, errors = [], []

    # The same in every run, and others in each world.
    @seed(f"{layers} {world.name}")
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=some.lists(STEPS, min_size=length, max_size=length))
    def live(steps):
        lived.append(steps)
        world.begin(layers)
        try:
            world.live(steps)
        except AssertionError as error:
            steps = [step for step in steps if step != ("nothing",)]
            error.add_note(f"history {len(lived)}: {steps}")
            errors.append((len(lived), error))
            raise

    # The last one is the shortest; one that is not the same twice is told of as well.
    with suppress(AssertionError, Flaky):
        live()
    if not errors:
        return len(lived), None
    return errors[0][0], errors[-1][1]


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_whatever_happens_nothing_is_made_twice_and_nothing_outlives_its_time(world, layers):
    _, error = histories(world, layers, number=4, length=25)
    if error is not None:
        raise error


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_the_same_in_two_thousand_histories(world, layers):
    _, error = histories(world, layers, number=334, length=50)
    if error is not None:
        raise error


LLAMA, NOVA = ("llama-3-1-8b", 0), ("nova-micro", 0)
TRAINED = [("submit", 0, *LLAMA), ("wait", 0, *LLAMA)]
START, STOP = ("start", 1, *LLAMA, 2), ("stop", 1, *LLAMA)
REFUSED = ("fault", "error", json.dumps({"operation": "Delete*", "times": 12}))
# What chance meets too seldom, each in a history of its own.
DIRECTED = {
    "started twice": [*TRAINED, START, START],
    "stopped and started again": [*TRAINED, START, STOP, START],
    # Twice, as Bedrock takes what is asked for in another five minutes for something else.
    "stopped and started again, on demand": [
        ("submit", 0, *NOVA),
        ("wait", 0, *NOVA),
        *3 * [("start", 1, *NOVA, None), ("stop", 1, *NOVA)],
    ],
    "not to be deleted": [*TRAINED, START, REFUSED, STOP],
    "stopped while it starts": [
        *TRAINED,
        *[step for point in range(1, 21) for step in (("die", point, START), STOP)],
    ],
    "left while it starts": [
        *TRAINED,
        *[step for point in range(1, 21) for step in (("die", point, START), ("turn", 400))],
    ],
    "stopped and submitted again": [("submit", 0, *LLAMA), ("cancel", 0, *LLAMA), TRAINED[0]],
    "run again": [*TRAINED, ("rerun", 0, *LLAMA), ("rerun", 1, *LLAMA)],
}


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("steps", DIRECTED.values(), ids=DIRECTED)
def test_what_chance_meets_too_seldom(world, steps):
    world.begin(())
    world.live(steps)


def moments(world, layers, before, step, *others):
    """Let something else happen before and after each call of a step; tells when it did harm."""
    found = {}
    for point in range(1, 21):
        world.begin(layers)
        try:
            world.live([*TRAINED, *before, ("meanwhile", point, (step, *others))])
        except AssertionError as error:
            found[point] = str(error)
    return found


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_who_stops_leaves_the_schedule_of_who_starts_again(world):
    assert moments(world, ("schedule",), [START], ("stop", 0, *LLAMA), START) == {}


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_who_starts_and_stops_leaves_the_schedule_of_who_is_starting(world):
    assert moments(world, ("schedule",), [], ("start", 0, *LLAMA, 2), START, STOP) == {}


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    ("before", "step", "other"),
    [
        ([], ("start", 0, *LLAMA, 2), START),
        ([START], ("start", 0, *LLAMA, 2), STOP),
        ([START], ("stop", 0, *LLAMA), STOP),
        ([START], ("stop", 0, *LLAMA), ("extend", 1, *LLAMA, 6)),
        ([START], ("extend", 0, *LLAMA, 6), STOP),
        ([START], ("extend", 0, *LLAMA, 6), START),
    ],
    ids=lambda step: step[0] if isinstance(step, tuple) else str(len(step)),
)
def test_two_clients_at_every_moment(world, layers, before, step, other):
    assert moments(world, layers, before, step, other) == {}
