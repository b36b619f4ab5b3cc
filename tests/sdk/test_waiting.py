"""The polling loop, with a clock of the test."""

import pytest

from tunestack.errors import BusyError, ConfigError, NotFoundError
from tunestack.polling import Poll, to_seconds, wait_until_visible, watch


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self):
        self.now = 0.0
        self.delays = []

    def sleep(self, seconds):
        self.delays.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def create_poll(clock, **changes):
    return Poll(**{"jitter": 0.0, "sleep": clock.sleep, "clock": lambda: clock.now} | changes)


def test_delays_between_polls_increase_up_to_the_longest(clock):
    results = list(
        watch(
            lambda: clock.now,
            until=lambda now: now > 30,
            timeout=1000,
            poll=create_poll(clock, factor=2, longest=8),
        )
    )
    assert clock.delays == [1, 2, 4, 8, 8, 8]
    assert results == [0, 1, 3, 7, 15, 23, 31]


def test_watch_ends_at_the_first_poll_if_the_condition_is_true(clock):
    assert list(
        watch(lambda: clock.now, until=lambda _: True, timeout=10, poll=create_poll(clock))
    ) == [0.0]
    assert clock.delays == []


def test_last_poll_is_at_the_timeout(clock):
    results = list(
        watch(
            lambda: clock.now, until=lambda _: False, timeout=4, poll=create_poll(clock, factor=2)
        )
    )
    assert results == [0, 1, 3, 4]


def test_jitter_spreads_the_polls_of_several_waiters(clock):
    delays = set()
    for _ in range(50):
        one_poll = create_poll(Clock(), jitter=0.2)
        delays.add(round(next(one_poll.pauses(100)).seconds, 6))
    assert len(delays) > 40
    assert all(0.8 <= delay <= 1.2 for delay in delays)


def test_busy_error_of_a_poll_is_retried(clock):
    responses = iter([BusyError("throttled"), BusyError("throttled"), "ready"])

    def read():
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return response

    assert list(watch(read, until=bool, timeout=100, poll=create_poll(clock))) == ["ready"]
    assert len(clock.delays) == 2


def test_busy_error_until_the_timeout_is_raised(clock):
    def read():
        raise BusyError("throttled")

    with pytest.raises(BusyError, match="throttled"):
        list(watch(read, until=bool, timeout=10, poll=create_poll(clock)))
    assert clock.now == 10


def test_wait_until_visible_returns_the_result_or_none(clock):
    def read():
        if clock.now < 3:
            raise NotFoundError("not visible yet")
        return "visible"

    assert wait_until_visible(read, poll=create_poll(clock)) == "visible"

    def read_never():
        raise NotFoundError("never visible")

    assert wait_until_visible(read_never, poll=create_poll(clock)) is None


@pytest.mark.parametrize("timeout", [None, "60", True, -1, float("nan"), float("inf"), 10**400])
def test_invalid_timeout_is_rejected(timeout):
    with pytest.raises(ConfigError, match="use seconds or a timedelta|from 0 to 366 days"):
        to_seconds(timeout)


@pytest.mark.parametrize(
    "changes",
    [{"first": 0}, {"first": -1}, {"first": "1"}, {"factor": 0.5}, {"jitter": 1}, {"longest": 0.5}],
)
def test_invalid_poll_is_rejected(changes):
    with pytest.raises(ConfigError, match="invalid Poll"):
        Poll(**changes)


def test_other_error_of_a_poll_is_raised(clock):
    def read():
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        list(watch(read, until=lambda _: False, timeout=10, poll=create_poll(clock)))
