"""Accounts that run fewer jobs at a time than are submitted: waiting for a free slot, and what errors say."""

import dataclasses
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dspy
import pytest

from tests.sdk.desks import IGNORED_WARNINGS, NOVA
from tunestack import Job, Tuner
from tunestack.dspy import BedrockProvider, BootstrapFinetune
from tunestack.errors import ConfigError, JobStoppedError, QuotaError
from tunestack_sandbox import Quotas

pytestmark = IGNORED_WARNINGS

TWO = Quotas(jobs=2, jobs_adjustable=False)
"""The account of hashicorp/terraform-provider-aws#37990."""


@pytest.fixture
def two_jobs(sandbox, tuner, chat):
    """An account that runs two jobs at a time, and runs them."""
    sandbox.quotas = TWO
    return [tuner.submit("nova-micro", chat[:count]) for count in (10, 11)]


# The tuner policy does not let read quotas.
@pytest.mark.as_root
def test_a_full_account_is_an_error_that_names_the_quota_and_what_helps(two_jobs, tuner, chat):
    with pytest.raises(QuotaError) as caught:
        tuner.submit("nova-micro", chat)
    message = str(caught.value)
    assert "2 by quota '(Model customization) Scheduled customization jobs' (L-0406044C)" in message
    assert "queue=True" in message
    assert "can't be raised in Service Quotas" in message
    assert "request an increase" not in message
    assert caught.value.frees_itself
    assert len(list(tuner.jobs())) == 2


# The tuner policy does not let read quotas.
@pytest.mark.as_root
def test_a_quota_that_can_be_raised_says_so(sandbox, tuner, chat):
    sandbox.quotas = Quotas(jobs=1)
    tuner.submit("nova-micro", chat[:10])
    with pytest.raises(QuotaError, match="or request an increase of L-0406044C in Service Quotas"):
        tuner.submit("nova-micro", chat)


@pytest.mark.parametrize("queue", [True, 24 * 3600, timedelta(days=1)])
def test_a_job_waits_for_a_free_slot(two_jobs, tuner, chat, queue):
    job = tuner.submit("nova-micro", chat, queue=queue)
    ended = [other for other in two_jobs if other.refresh().state.is_terminal]
    assert ended, "it was created after one of them had ended"
    assert job.wait().model
    assert len(list(tuner.jobs())) == 3


def test_a_wait_that_is_over_says_that_nothing_is_lost(two_jobs, tuner, chat, objects):
    with pytest.raises(QuotaError, match="within 1 minute") as caught:
        tuner.submit("nova-micro", chat, queue=60)
    assert "nothing was submitted or billed: submit the same again" in str(caught.value)
    assert isinstance(caught.value.__cause__, QuotaError)
    assert len(list(tuner.jobs())) == 2
    uploaded = objects()
    tuner.wait_all(two_jobs)
    tuner.submit("nova-micro", chat, queue=60)
    assert objects() == uploaded, "the data is uploaded once"


def test_the_same_job_of_another_process_is_found_while_waiting(two_jobs, chat, sandbox, poll):
    """It has another name, and would be a second paid job."""
    other = Tuner(poll=poll)
    seen: list[Job] = []

    def sleep(seconds):
        sandbox.clock.advance(seconds)
        if not seen and any(job.refresh().state.is_terminal for job in two_jobs):
            seen.append(other.submit("nova-micro", chat, name="other"))

    waiting = Tuner(poll=dataclasses.replace(poll, sleep=sleep))
    assert waiting.submit("nova-micro", chat, queue=True).id == seen[0].id
    assert len(list(other.jobs())) == 3


def test_a_throttle_while_waiting_does_not_end_the_wait(two_jobs, chat, sandbox, poll, broken):
    throttled: list[float] = []

    def sleep(seconds):
        if not throttled:
            broken("CreateModelCustomizationJob", "ThrottlingException", times=5)
            throttled.append(seconds)
        sandbox.clock.advance(seconds)

    waiting = Tuner(poll=dataclasses.replace(poll, sleep=sleep))
    assert waiting.submit("nova-micro", chat, queue=True).id


def test_full_storage_of_models_is_not_waited_for(sandbox, tuner, chat):
    tuner.submit("nova-micro", chat[:10]).wait()
    sandbox.quotas = Quotas(custom_models=1)
    before = sandbox.clock.now()
    with pytest.raises(QuotaError, match=r"Custom models per account.*delete custom models"):
        tuner.submit("nova-micro", chat, queue=True)
    assert sandbox.clock.now() - before < timedelta(minutes=5)


@pytest.mark.parametrize("queue", ["1h", -1, float("inf"), timedelta(days=-1)])
def test_a_queue_that_is_no_finite_time_is_refused_at_once(tuner, chat, queue, objects):
    before = objects()
    with pytest.raises(ConfigError, match="queue"):
        tuner.submit("nova-micro", [*chat, *chat], queue=queue)
    assert before == objects()


def test_dspy_waits_by_default(two_jobs, tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner)).finetune(chat, "chat", {})
    assert job.result(timeout=60)
    job.stop_endpoint()


# The tuner policy does not let read quotas.
@pytest.mark.as_root
def test_dspy_does_not_wait_if_told_so(two_jobs, tuner, chat):
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner), train_kwargs={"queue": False})
    job = lm.finetune(chat, "chat")
    assert job.done(), "it is known without the data"
    with pytest.raises(QuotaError, match="2 jobs are running, at most 2 by quota"):
        job.result()


class Chain(dspy.Module):
    """Three predictors, each of which is a job of its own."""

    def __init__(self):
        super().__init__()
        self.a = dspy.Predict("question -> x")
        self.b = dspy.Predict("x -> y")
        self.c = dspy.Predict("y -> answer")

    def forward(self, question):
        return self.c(y=self.b(x=self.a(question=question).x).y)


def test_an_optimizer_submits_more_jobs_than_the_account_runs_at_a_time(sandbox, tuner):
    sandbox.quotas = TWO
    student = Chain()
    student.set_lm(dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False))
    questions = [
        dspy.Example(question=f"What is number {number}?").with_inputs("question")
        for number in range(12)
    ]
    BootstrapFinetune(num_threads=2, multitask=False).compile(student, trainset=questions)
    assert [job.info.state for job in tuner.jobs()] == ["succeeded"] * 3


def test_a_cancel_while_waiting_submits_nothing(two_jobs, chat, poll):
    jobs: list[Any] = []

    def sleep(_):
        assert jobs[0].cancel() is True

    provider = BedrockProvider(Tuner(poll=dataclasses.replace(poll, sleep=sleep)))
    jobs.append(provider.TrainingJob(model=NOVA, train_data=chat, train_data_format="chat"))
    dspy.LM(NOVA, provider=provider)._run_finetune_job(jobs[0])
    with pytest.raises(JobStoppedError, match="nothing was submitted"):
        jobs[0].result()
    assert len(list(provider._tuner.jobs())) == 2


def test_the_command_line_waits_if_told_so(sandbox, tuner, chat, tmp_path):
    sandbox.quotas = Quotas(jobs=1)
    running = tuner.submit("nova-micro", chat[:10])
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in chat))
    command = [Path(sys.executable).with_name("tunestack"), "submit", rows, "-m", "nova-micro"]
    environment = sandbox.environment()
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert "--queue" in refused.stderr
    with subprocess.Popen(
        [*command, "--queue", "2h"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as waits:
        assert waits.stderr is not None
        for line in waits.stderr:
            if "waiting for a free job slot, at most 2 hours" in line:
                sandbox.clock.advance(10_000)
        assert waits.wait(60) == 0
    assert running.refresh().state.is_terminal
    assert len(list(tuner.jobs())) == 2
