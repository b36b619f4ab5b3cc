"""A rollback that is run again before its update has completed is the same rollback."""

import pytest

from tests.sdk.test_cli_interrupts import UPDATE, interrupt
from tunestack import Poll, Tuner
from tunestack.errors import EndpointTimeoutError


@pytest.fixture
def other(tuner, chat):
    return tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}).wait()


def promote_both(tuner, sandbox, name, *jobs):
    for job in jobs:
        tuner.promote(job.id, name)
        sandbox.clock.advance(60)
    return tuner.endpoint(name)


def test_interrupted_rollback_is_completed_if_it_is_run_again(tuner, job, other, sandbox):
    endpoint = promote_both(tuner, sandbox, "bot-interrupted-rollback", job, other)
    interrupt(f"after-call.bedrock.{UPDATE}", "rollback", endpoint.name)
    sandbox.clock.advance(1)
    again = tuner.rollback(endpoint.name)
    assert (again.model, again.previous) == (job.model, other.model)
    assert tuner.endpoint(endpoint.name).info.model == job.model
    sandbox.clock.advance(60)
    assert tuner.rollback(endpoint.name).model == other.model
    endpoint.stop()


def test_rollback_during_a_promotion_returns_to_the_model_before_it(tuner, job, other, sandbox):
    endpoint = promote_both(tuner, sandbox, "bot-rolled-back-early", job, other, job)
    patient = Tuner(poll=Poll(sleep=lambda _: None, first=1))
    with pytest.raises(EndpointTimeoutError):
        patient.promote(other.id, endpoint.name, timeout=0)
    assert tuner.endpoint(endpoint.name).info.target == other.model
    sandbox.clock.advance(10_000)
    assert tuner.rollback(endpoint.name).model == job.model
    endpoint.stop()
