"""Accounts with a quota of running jobs: waiting for a free slot, and error messages."""

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

TWO_JOBS = Quotas(jobs=2, jobs_adjustable=False)
"""The quota of the account in hashicorp/terraform-provider-aws#37990."""


@pytest.fixture
def two_jobs(sandbox, tuner, chat):
    """Set a quota of two running jobs, and submit two jobs."""
    sandbox.quotas = TWO_JOBS
    return [tuner.submit("nova-micro", chat[:count]) for count in (10, 11)]


# The tuner policy does not allow reading quotas.
@pytest.mark.as_root
def test_error_about_the_job_quota_names_the_quota_and_remedies(two_jobs, tuner, chat):
    with pytest.raises(QuotaError) as raised:
        tuner.submit("nova-micro", chat)
    message = str(raised.value)
    assert "2 by quota '(Model customization) Scheduled customization jobs' (L-0406044C)" in message
    assert "queue=True" in message
    assert "can't be raised in Service Quotas" in message
    assert "request an increase" not in message
    assert raised.value.frees_itself
    assert len(list(tuner.jobs())) == 2


# The tuner policy does not allow reading quotas.
@pytest.mark.as_root
def test_error_about_an_adjustable_quota_suggests_an_increase(sandbox, tuner, chat):
    sandbox.quotas = Quotas(jobs=1)
    tuner.submit("nova-micro", chat[:10])
    with pytest.raises(QuotaError, match="or request an increase of L-0406044C in Service Quotas"):
        tuner.submit("nova-micro", chat)


@pytest.mark.parametrize("queue", [True, 24 * 3600, timedelta(days=1)])
def test_submit_waits_for_a_free_slot(two_jobs, tuner, chat, queue):
    job = tuner.submit("nova-micro", chat, queue=queue)
    ended = [other for other in two_jobs if other.refresh().state.is_terminal]
    assert ended, "the job was created after one of the two had ended"
    assert job.wait().model
    assert len(list(tuner.jobs())) == 3


def test_error_after_a_timed_out_wait_suggests_to_submit_again(
    two_jobs, tuner, chat, list_training_files
):
    with pytest.raises(QuotaError, match="within 1 minute") as raised:
        tuner.submit("nova-micro", chat, queue=60)
    assert "nothing was submitted or billed: submit the same again" in str(raised.value)
    assert isinstance(raised.value.__cause__, QuotaError)
    assert len(list(tuner.jobs())) == 2
    uploaded = list_training_files()
    tuner.wait_all(two_jobs)
    tuner.submit("nova-micro", chat, queue=60)
    assert list_training_files() == uploaded, "the data is uploaded once"


def test_wait_returns_the_same_job_of_another_process(two_jobs, chat, sandbox, poll):
    """The other job has another name; a second job would be billed."""
    other = Tuner(poll=poll)
    other_jobs: list[Job] = []

    def sleep(seconds):
        sandbox.clock.advance(seconds)
        if not other_jobs and any(job.refresh().state.is_terminal for job in two_jobs):
            other_jobs.append(other.submit("nova-micro", chat, name="other"))

    waiting_tuner = Tuner(poll=dataclasses.replace(poll, sleep=sleep))
    assert waiting_tuner.submit("nova-micro", chat, queue=True).id == other_jobs[0].id
    assert len(list(other.jobs())) == 3


def test_throttling_does_not_end_the_wait_for_a_slot(two_jobs, chat, sandbox, poll, inject_error):
    throttled_at: list[float] = []

    def sleep(seconds):
        if not throttled_at:
            inject_error("CreateModelCustomizationJob", "ThrottlingException", times=5)
            throttled_at.append(seconds)
        sandbox.clock.advance(seconds)

    waiting_tuner = Tuner(poll=dataclasses.replace(poll, sleep=sleep))
    assert waiting_tuner.submit("nova-micro", chat, queue=True).id


def test_submit_does_not_wait_for_the_quota_of_custom_models(sandbox, tuner, chat):
    tuner.submit("nova-micro", chat[:10]).wait()
    sandbox.quotas = Quotas(custom_models=1)
    before = sandbox.clock.now()
    with pytest.raises(QuotaError, match=r"Custom models per account.*delete custom models"):
        tuner.submit("nova-micro", chat, queue=True)
    assert sandbox.clock.now() - before < timedelta(minutes=5)


@pytest.mark.parametrize("queue", ["1h", -1, float("inf"), timedelta(days=-1)])
def test_invalid_queue_is_rejected_before_the_upload(tuner, chat, queue, list_training_files):
    before = list_training_files()
    with pytest.raises(ConfigError, match="queue"):
        tuner.submit("nova-micro", [*chat, *chat], queue=queue)
    assert before == list_training_files()


def test_dspy_waits_for_a_slot_by_default(two_jobs, tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner)).finetune(chat, "chat", {})
    assert job.result(timeout=60)
    job.stop_endpoint()


# The tuner policy does not allow reading quotas.
@pytest.mark.as_root
def test_dspy_does_not_wait_with_queue_false(two_jobs, tuner, chat):
    lm = dspy.LM(NOVA, provider=BedrockProvider(tuner), train_kwargs={"queue": False})
    job = lm.finetune(chat, "chat")
    assert job.done(), "the quota is checked before the data is prepared"
    with pytest.raises(QuotaError, match="2 jobs are running, at most 2 by quota"):
        job.result()


class Chain(dspy.Module):
    """A module of three predictors, each of which is fine-tuned by its own job."""

    def __init__(self):
        super().__init__()
        self.a = dspy.Predict("question -> x")
        self.b = dspy.Predict("x -> y")
        self.c = dspy.Predict("y -> answer")

    def forward(self, question):
        return self.c(y=self.b(x=self.a(question=question).x).y)


def test_optimizer_can_submit_more_jobs_than_the_quota(sandbox, tuner):
    sandbox.quotas = TWO_JOBS
    student = Chain()
    student.set_lm(dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False))
    questions = [
        dspy.Example(question=f"What is number {number}?").with_inputs("question")
        for number in range(12)
    ]
    BootstrapFinetune(num_threads=2, multitask=False).compile(student, trainset=questions)
    assert [job.info.state for job in tuner.jobs()] == ["succeeded"] * 3


def test_cancel_while_waiting_submits_nothing(two_jobs, chat, poll):
    jobs: list[Any] = []

    def sleep(_):
        assert jobs[0].cancel() is True

    provider = BedrockProvider(Tuner(poll=dataclasses.replace(poll, sleep=sleep)))
    jobs.append(provider.TrainingJob(model=NOVA, train_data=chat, train_data_format="chat"))
    dspy.LM(NOVA, provider=provider)._run_finetune_job(jobs[0])
    with pytest.raises(JobStoppedError, match="nothing was submitted"):
        jobs[0].result()
    assert len(list(provider._tuner.jobs())) == 2


def test_command_line_waits_with_its_option(sandbox, tuner, chat, tmp_path):
    sandbox.quotas = Quotas(jobs=1)
    running = tuner.submit("nova-micro", chat[:10])
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in chat))
    command = [Path(sys.executable).with_name("tunestack"), "submit", rows, "-m", "nova-micro"]
    environment = sandbox.environment()
    rejected = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert rejected.returncode == 3
    assert "--queue" in rejected.stderr
    with subprocess.Popen(
        [*command, "--queue", "2h"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "waiting for a free job slot, at most 2 hours" in line:
                sandbox.clock.advance(10_000)
        assert process.wait(60) == 0
    assert running.refresh().state.is_terminal
    assert len(list(tuner.jobs())) == 2
