"""Jobs in the background of a process that exits, is interrupted, or stops following them."""

import signal
import subprocess
import sys
import time
from typing import Any

import dspy
import pytest

from tests.parameters import every
from tests.sdk.desks import IGNORED_WARNINGS, NOVA
from tunestack import Tuner
from tunestack.dspy import BedrockProvider, background
from tunestack.errors import JobTimeoutError
from tunestack_sandbox import Quotas

pytestmark = IGNORED_WARNINGS

START = """
import logging, time, dspy
from tunestack.dspy import BedrockProvider, background
rows = [{"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]} for n in range(20)]
def slow():
    for row in rows:
        time.sleep(0.1)
        yield row
lm = dspy.LM("bedrock/amazon.nova-micro-v1:0", provider=BedrockProvider())
"""


@pytest.fixture
def script(sandbox):
    """Run a script that fine-tunes. In the sandbox a job takes two hours of real time."""
    started = []

    def run(code):
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", START + code],
            env=sandbox.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def read_until(process, text):
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"{text!r} was not printed")


def test_ctrl_c_ends_the_process_and_logs_how_to_attach(script, tuner):
    process = script(
        "job = lm.finetune(rows, 'chat')\n"
        "while job.job is None: time.sleep(0.01)\n"
        "logging.warning('submitted')\n"
        "job.result()\n"
    )
    read_until(process, "submitted")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    (job,) = tuner.jobs()
    assert not job.info.state.is_terminal, "it continues"
    assert "KeyboardInterrupt" in stderr
    assert stderr.count(f"attach to it with tunestack.Tuner().job({job.id!r})") == 1


def test_process_submits_its_jobs_before_it_exits(script, tuner):
    process = script("lm.finetune(slow(), 'chat')\n")
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, len(list(tuner.jobs()))) == (0, 1), stderr
    (job,) = tuner.jobs()
    assert "1 jobs are not submitted yet" in stderr
    assert f"Tuner().job({job.id!r})" in stderr


@pytest.mark.parametrize(
    "end", every(2, ["import os, signal; os.kill(os.getpid(), signal.SIGINT)\n", ""])
)
def test_temporary_files_exist_until_the_submission(script, tuner, tmp_path, end):
    """Python removes those of `tempfile.TemporaryDirectory` before the handlers at exit that were registered earlier."""
    process = script(
        "import os, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from tunestack.jobs import training_data\n"
        "write = training_data.prepare\n"
        "training_data.prepare = lambda *a, **k: (time.sleep(2), write(*a, **k))[1]\n"
        "lm.finetune(rows, 'chat')\n"
        f"while not os.listdir({str(tmp_path)!r}): time.sleep(0.01)\n" + end
    )
    _, stderr = process.communicate(timeout=60)
    assert len(list(tuner.jobs())) == 1, stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_wait_for_a_free_slot(script, tuner, sandbox, chat):
    sandbox.quotas = Quotas(jobs=1)
    tuner.submit("nova-micro", chat)
    process = script("lm.finetune(rows, 'chat').result()\n")
    read_until(process, "waiting for a free job slot")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert "not submitted yet, nothing is billed: run the same code again" in stderr
    assert len(list(tuner.jobs())) == 1


def test_ctrl_c_at_exit_does_not_wait_for_submission(script, tuner):
    process = script("rows *= 1000\nlm.finetune(slow(), 'chat')\n")
    read_until(process, "1 jobs are not submitted yet")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert list(tuner.jobs()) == []


def test_job_goes_on_after_background_end(sandbox, chat, tuner):
    """Uses the real clock: the job is in a pause, and listens for events."""
    job = dspy.LM(NOVA, provider=BedrockProvider(Tuner())).finetune(chat, "chat")
    assert job in background.running()
    while job.is_unsubmitted:
        time.sleep(0.01)
    background.end()
    begun = time.monotonic()
    with pytest.raises(JobTimeoutError, match="continues without this process") as caught:
        job.result(timeout=120)
    assert caught.value.job_id == job.job.id
    assert time.monotonic() - begun < 60
    assert background.join(10)
    assert job not in background.running()
    assert not tuner.job(job.job.id).info.state.is_terminal


def test_submission_in_progress_is_completed_before_the_end(chat, tuner):
    jobs: list[Any] = []

    def rows():
        yield chat[0]
        jobs[0].end()
        yield from chat[1:]

    provider = BedrockProvider(tuner)
    job = provider.TrainingJob(model=NOVA, train_data=rows(), train_data_format="chat")
    jobs.append(job)
    dspy.LM(NOVA, provider=provider)._run_finetune_job(job)
    assert isinstance(job.exception(), JobTimeoutError)
    (submitted,) = tuner.jobs()
    assert job.job.id == submitted.id


def test_thread_of_a_job_is_a_daemon(tuner, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(tuner)).finetune(chat, "chat")
    assert job.thread.daemon
    job.result(timeout=60)
    job.stop_endpoint()
    assert background.join(10)


def test_join_returns_false_at_its_timeout(sandbox, chat):
    job = dspy.LM(NOVA, provider=BedrockProvider(Tuner())).finetune(chat, "chat")
    assert not background.join(0.2)
    background.end()
    assert background.join(30)
    assert job.done()
