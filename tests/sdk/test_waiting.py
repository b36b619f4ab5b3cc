"""The one polling loop, on a clock of its own."""

import pytest

from tunestack.errors import BusyError, ConfigError, NotFoundError
from tunestack.polling import Poll, to_seconds, wait_until_visible, watch


class Wall:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def wall():
    return Wall()


def poll(wall, **changes):
    return Poll(**{"jitter": 0.0, "sleep": wall.sleep, "clock": lambda: wall.now} | changes)


def test_it_looks_quickly_at_first_and_then_ever_more_slowly(wall):
    seen = list(
        watch(
            lambda: wall.now,
            until=lambda now: now > 30,
            timeout=1000,
            poll=poll(wall, factor=2, longest=8),
        )
    )
    assert wall.slept == [1, 2, 4, 8, 8, 8]
    assert seen == [0, 1, 3, 7, 15, 23, 31]


def test_it_ends_at_the_first_look_when_there_is_nothing_to_wait_for(wall):
    assert list(watch(lambda: wall.now, until=lambda _: True, timeout=10, poll=poll(wall))) == [0.0]
    assert wall.slept == []


def test_it_looks_once_more_at_the_very_end(wall):
    seen = list(
        watch(lambda: wall.now, until=lambda _: False, timeout=4, poll=poll(wall, factor=2))
    )
    assert seen == [0, 1, 3, 4]


def test_many_waiters_do_not_look_at_the_same_moment(wall):
    pauses = set()
    for _ in range(50):
        poll_of_one = poll(Wall(), jitter=0.2)
        pauses.add(round(next(poll_of_one.pauses(100)).seconds, 6))
    assert len(pauses) > 40
    assert all(0.8 <= pause <= 1.2 for pause in pauses)


def test_a_look_that_the_vendor_is_too_busy_for_is_no_look(wall):
    answers = iter([BusyError("throttled"), BusyError("throttled"), "seen"])

    def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert list(watch(look, until=bool, timeout=100, poll=poll(wall))) == ["seen"]
    assert len(wall.slept) == 2


def test_a_vendor_that_is_too_busy_to_the_end_is_an_error(wall):
    def look():
        raise BusyError("throttled")

    with pytest.raises(BusyError, match="throttled"):
        list(watch(look, until=bool, timeout=10, poll=poll(wall)))
    assert wall.now == 10


def test_what_was_just_created_may_appear_late_or_never(wall):
    def look():
        if wall.now < 3:
            raise NotFoundError("not yet")
        return "there"

    assert wait_until_visible(look, poll=poll(wall)) == "there"

    def never():
        raise NotFoundError("never")

    assert wait_until_visible(never, poll=poll(wall)) is None


@pytest.mark.parametrize("timeout", [None, "60", True, -1, float("nan"), float("inf"), 10**400])
def test_a_timeout_that_is_none_is_refused(timeout):
    with pytest.raises(ConfigError, match="use seconds or a timedelta|from 0 to 366 days"):
        to_seconds(timeout)


@pytest.mark.parametrize(
    "changes",
    [{"first": 0}, {"first": -1}, {"first": "1"}, {"factor": 0.5}, {"jitter": 1}, {"longest": 0.5}],
)
def test_a_poll_that_would_never_pause_or_never_look_is_refused(changes):
    with pytest.raises(ConfigError, match="invalid Poll"):
        Poll(**changes)


def test_an_error_of_the_look_is_not_swallowed(wall):
    def look():
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        list(watch(look, until=lambda _: False, timeout=10, poll=poll(wall)))
