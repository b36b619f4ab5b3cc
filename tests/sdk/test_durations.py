"""Messages contain readable durations and values of enum members, without Python representations."""

import re
from datetime import timedelta

import pytest

from tunestack import JobState, Poll
from tunestack._utils.formatting import duration_text
from tunestack.backends.base import EndpointState, Verdict
from tunestack.catalog import Serving
from tunestack.errors import ConfigError, TunestackError, shortened

REPRESENTATIONS = re.compile(r"<\w+\.\w+|timedelta\(|datetime\.|\d:\d\d:\d\d$|\d days?, \d+:")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0 seconds"),
        (0.5, "0.5 seconds"),
        (1, "1 second"),
        (60.0, "1 minute"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(hours=2, minutes=30), "2 hours 30 minutes"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=3, minutes=4), "2 days 3 hours"),
        (timedelta(days=366), "366 days"),
        (timedelta(days=1, seconds=30), "1 day 30 seconds"),
        (timedelta(hours=-2), "-2 hours"),
        (59.7, "59 seconds"),
    ],
)
def test_duration_text(duration, text):
    assert text == duration_text(duration)


@pytest.mark.parametrize("member", [*Serving, *JobState, *EndpointState, *Verdict])
def test_enum_member_is_shown_by_its_value(member):
    assert repr(member.value) == shortened(member)


def test_value_that_has_no_representation_is_shown_by_its_type():
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert shortened(deep) == "a value of type list"
    assert shortened(10**5000) == "a value of type int"


MESSAGES = {
    "ttl": (lambda job: job.start_endpoint(ttl=timedelta(hours=-2)), "invalid ttl -2 hours"),
    "ttl too long": (
        lambda job: job.start_endpoint(ttl=timedelta(hours=30)),
        "invalid ttl 1 day 6 hours: this stage allows at most 1 day",
    ),
    "ttl of years": (
        lambda job: job.start_endpoint(ttl=timedelta(days=400)),
        "invalid ttl 400 days: .* to 366 days",
    ),
    "serving": (lambda job: job.start_endpoint(Serving.DIRECT), "'direct'"),
    "wait": (
        lambda job: job.wait(stall_after=timedelta(0)),
        "invalid stall_after 0: use a duration longer than 0",
    ),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_message_about_an_invalid_argument_has_no_representation(job, kind):
    call, message = MESSAGES[kind]
    with pytest.raises(TunestackError, match=message) as raised:
        call(job)
    assert not REPRESENTATIONS.search(str(raised.value))


def test_message_of_stop_or_extend_has_no_representation(tuner, job):
    with pytest.raises(ConfigError, match="'direct': use 'provisioned' or 'on-demand'"):
        tuner.stop_endpoint(job.model, Serving.DIRECT)
    job.start_endpoint(ttl=timedelta(hours=1))
    with pytest.raises(
        ConfigError, match="invalid ttl of 3 days 1 hour .*: use at most "
    ) as raised:
        job.endpoint().extend(timedelta(days=3, hours=1))
    assert not REPRESENTATIONS.search(str(raised.value))


def test_message_about_an_invalid_poll_has_no_representation():
    with pytest.raises(ConfigError, match="first=0") as raised:
        Poll(first=0)
    assert "built-in" not in str(raised.value)
