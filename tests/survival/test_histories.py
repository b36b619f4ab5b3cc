"""Random histories of faults, crashes and races: one job per content, one endpoint per model, no endpoint after its limit.

Each history has one layer of protection only: the schedule, the sweep, or the client that deletes its endpoint.
"""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from tests.parameters import every
from tests.survival.world_settings import CONTENTS

LAYERS = {"the client's stop": (), "the schedule": ("schedule",), "the sweep": ("sweep",)}


def faults():
    """Yield the operation faults of docs/sandbox.md, each once or more often than boto3 retries."""
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


def build_steps(kind, *more):
    """Return a step for each client and content."""
    return [(kind, who, *content, *more) for who in range(2) for content in WEIGHTED_CONTENTS]


# The same data, with provisioned throughput, more often than the rest.
WEIGHTED_CONTENTS = [CONTENTS[number] for number in (0, 1, 2, 2, 2, 3)]
CALLS = [
    *2 * build_steps("submit"),
    *build_steps("rerun"),
    *build_steps("cancel"),
    *build_steps("wait"),
    *build_steps("start", None),
    *build_steps("start", 1 / 6),
    *build_steps("start", 2),
    *build_steps("start", 23),
    *build_steps("extend", 1),
    *build_steps("extend", 6),
    *build_steps("extend", 30),
    *4 * build_steps("stop"),
]
EVENTS = [
    ("nothing",),
    *[("restart", who) for who in range(2)],
    *2 * [("advance", minutes) for minutes in (1, 7, 30, 100, 400)],
    *[("fault", kind, json.dumps(how)) for kind, how in faults()],
    *[("delay_visibility", count) for count in (1, 3, 8)],
    *[("unknown_status", count) for count in (1, 4)],
]


RACES = [
    (step, other)
    for step in sorted(set(CALLS), key=str)
    for other in sorted(set(CALLS), key=str)
    if step[1] == 0 and other[1] == 1 and step[2:4] == other[2:4]
]
POINTS = st.integers(1, 20)
STEPS = st.one_of(
    st.sampled_from(EVENTS),
    st.sampled_from(CALLS),
    st.sampled_from(CALLS),
    st.tuples(st.just("crash"), POINTS, st.sampled_from(CALLS)),
    st.tuples(st.just("race"), POINTS, st.sampled_from(RACES)),
)


def run_histories(world, layers, *, number, length, phases=tuple(Phase)):
    """Run random histories; return how many ran until an invariant failed, and its error."""
    completed, errors = [], []

    # The same histories in every run, but different ones in each world.
    @seed(f"{layers} {world.name}")
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=st.lists(STEPS, min_size=length, max_size=length))
    def run(steps):
        completed.append(steps)
        world.reset(layers)
        try:
            world.run(steps)
        except AssertionError as error:
            steps = [step for step in steps if step != ("nothing",)]
            error.add_note(f"history {len(completed)}: {steps}")
            errors.append((len(completed), error))
            raise

    # The last error is from the shortest history. A flaky history is reported as well.
    with suppress(AssertionError, Flaky):
        run()
    if not errors:
        return len(completed), None
    return errors[0][0], errors[-1][1]


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("layers", every(3, LAYERS.values()), ids=LAYERS)
def test_random_histories_keep_the_invariants(world, layers):
    _, error = run_histories(world, layers, number=2, length=25)
    if error is not None:
        raise error


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_five_hundred_random_histories_keep_the_invariants(world, layers):
    _, error = run_histories(world, layers, number=84, length=50)
    if error is not None:
        raise error


LLAMA, NOVA = ("llama-3-1-8b", 0), ("nova-micro", 0)
TRAINED = [("submit", 0, *LLAMA), ("wait", 0, *LLAMA)]
START, STOP = ("start", 1, *LLAMA, 2), ("stop", 1, *LLAMA)
REFUSED = ("fault", "error", json.dumps({"operation": "Delete*", "times": 12}))
DIRECTED_HISTORIES = {
    "started twice": [*TRAINED, START, START],
    "stopped and started again": [*TRAINED, START, STOP, START],
    # Several times, because the token changes every five minutes.
    "stopped and started again, on demand": [
        ("submit", 0, *NOVA),
        ("wait", 0, *NOVA),
        *3 * [("start", 1, *NOVA, None), ("stop", 1, *NOVA)],
    ],
    "deletion fails": [*TRAINED, START, REFUSED, STOP],
    "stopped while it is created": [
        *TRAINED,
        *[step for point in range(1, 21) for step in (("crash", point, START), STOP)],
    ],
    "abandoned while it is created": [
        *TRAINED,
        *[step for point in range(1, 21) for step in (("crash", point, START), ("advance", 400))],
    ],
    "stopped and submitted again": [("submit", 0, *LLAMA), ("cancel", 0, *LLAMA), TRAINED[0]],
    "run again": [*TRAINED, ("rerun", 0, *LLAMA), ("rerun", 1, *LLAMA)],
}


@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("steps", every(3, DIRECTED_HISTORIES.values()), ids=DIRECTED_HISTORIES)
def test_directed_history_keeps_the_invariants(world, steps):
    world.reset(())
    world.run(steps)


def find_failures(world, layers, before, step, *others):
    """Run other steps before and after each request of a step; return the errors by the number of the point."""
    failures = {}
    for point in range(1, 21):
        world.reset(layers)
        try:
            world.run([*TRAINED, *before, ("race", point, (step, *others))])
        except AssertionError as error:
            failures[point] = str(error)
    return failures


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_stop_keeps_the_schedule_of_a_concurrent_start(world):
    assert find_failures(world, ("schedule",), [START], ("stop", 0, *LLAMA), START) == {}


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
def test_start_and_stop_keep_the_schedule_of_a_concurrent_start(world):
    assert find_failures(world, ("schedule",), [], ("start", 0, *LLAMA, 2), START, STOP) == {}


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
def test_two_clients_race_at_every_request(world, layers, before, step, other):
    assert find_failures(world, layers, before, step, other) == {}
