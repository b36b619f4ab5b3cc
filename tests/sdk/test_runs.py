"""Runs: many jobs that the state machine of the stage submits and waits for, without a client."""

import pytest

from tunestack import JobSpec, RunState
from tunestack_sandbox import Quotas


@pytest.fixture
def specs(chat):
    """Return a function that returns the jobs of a sweep over epochs and learning rates."""

    def build(count):
        return [
            JobSpec(
                model="nova-micro",
                data=chat,
                hyperparameters={"epochCount": 1 + number % 5, "learningRate": 1e-6 * (1 + number // 5)},
            )
            for number in range(count)
        ]

    return build


def test_run_of_jobs_keeps_the_quota(tuner, specs, sandbox):
    sandbox.quotas = Quotas(jobs=2)
    run = tuner.start_run(specs(4), name="sweep", max_parallel=2)
    assert run.state is RunState.RUNNING
    run.wait()
    assert run.state is RunState.SUCCEEDED
    jobs = run.jobs()
    assert [job.state for job in jobs] == ["succeeded"] * 4
    assert all(job.model.startswith("arn:aws:bedrock") for job in jobs)
    assert len(list(tuner.jobs())) == 4
