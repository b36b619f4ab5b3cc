"""`BootstrapFinetune` and `BetterTogether` through a run: a compile that was interrupted continues when it is called again."""

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial

import dspy
import pytest

from tests.parameters import every
from tests.sdk.compile_program import TwoSteps, accept_all
from tests.sdk.desks import (
    GPT,
    IGNORED_WARNINGS,
    LLAMA,
    NOVA,
    TEST,
    TRAIN,
    is_correct,
    ticket_program,
)
from tunestack import Poll, RunState, Tuner
from tunestack.dspy import (
    BedrockProvider,
    BetterTogether,
    BootstrapFinetune,
    OpenAIProvider,
    stop,
)
from tunestack.dspy.compile_run import CompileRun
from tunestack.errors import ConfigError, DeploymentError, JobFailedError, JobStoppedError

pytestmark = IGNORED_WARNINGS


@pytest.fixture
def lm(tuner):
    return dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)


@pytest.fixture(autouse=True)
def _stop_runs(tuner):
    """Stop the runs of a test: the quota of jobs is shared."""
    yield
    for run in tuner.runs():
        if run.state is RunState.RUNNING:
            run.cancel()


def create_program(lm, **arguments):
    program = TwoSteps(**arguments)
    program.set_lm(lm)
    return program


def create_optimizer(**arguments):
    return BootstrapFinetune(**{"metric": accept_all, "multitask": False, **arguments})


def run_names(tuner, prefix):
    return [run.name for run in tuner.runs() if run.name.startswith(prefix)]


@pytest.fixture
def count_calls(sandbox):
    """Return a function that returns the number of invocations of models since its last call."""
    count = 0

    def record(call, handler):
        nonlocal count
        count += call.operation.name in ("Converse", "InvokeModel")
        return handler(call)

    def read():
        nonlocal count
        result, count = count, 0
        return result

    with sandbox.intercept_operations(record):
        yield read


def test_predictors_get_the_models_of_one_run(lm, tuner):
    compiled = create_optimizer(run="steps").compile(create_program(lm), trainset=TRAIN[:10])
    (run,) = [run for run in tuner.runs() if run.name.startswith("steps-")]
    jobs = {job.id: job for job in tuner.jobs()}
    assert run.state is RunState.SUCCEEDED
    assert {job.id for job in run.jobs()} == jobs.keys()
    states = [predictor.lm.launch_kwargs["tunestack"] for predictor in compiled.predictors()]
    assert [state["model"] for state in states] == [job.model for job in run.jobs()]
    assert compiled(ticket="Ticket 1: about the invoice, and the refund").desk
    stop(compiled)


def test_records_that_differ_would_make_other_jobs_without_a_run(lm, tuner):
    """Without a run, `compile` finds its jobs again only if the records are the same."""
    for is_random, jobs in ((False, 2), (False, 2), (True, 4), (True, 6)):
        program = create_program(lm, is_random=is_random)
        stop(create_optimizer().compile(program, trainset=TRAIN[:10]))
        assert len(list(tuner.jobs())) == jobs


def test_compile_again_calls_no_lm_and_creates_no_job(lm, tuner, count_calls):
    for epochs, calls, runs in ((1, 20, 1), (1, 0, 1), (2, 0, 2)):
        optimizer = create_optimizer(run="again", train_kwargs={"epochCount": epochs})
        stop(optimizer.compile(create_program(lm), trainset=TRAIN[:10]))
        assert count_calls() == calls
        assert len(run_names(tuner, "again-")) == runs
    stop(optimizer.compile(create_program(lm), trainset=TRAIN[9::-1]))
    assert count_calls() == 0, "the order of the examples does not matter"
    assert len(list(tuner.jobs())) == 4


def accept_billing(example, prediction, trace=None):
    return example.desk == "billing"


@pytest.mark.parametrize(
    "change",
    every(
        6,
        [
            {"metric": accept_billing},
            {"exclude_demos": True},
            {"run": "other"},
            {"trainset": TRAIN[:31]},
            {"instructions": "Choose."},
            {"temperature": 0.5},
        ],
    ),
    ids=lambda change: next(iter(change)),
)
def test_records_are_collected_again_after_a_change(lm, count_calls, change):
    name = f"change-{next(iter(change))}"

    def compile_with(trainset=TRAIN[:30], instructions=None, temperature=None, **arguments):
        program = create_program(lm if temperature is None else lm.copy(temperature=temperature))
        if instructions is not None:
            program.desk.signature = program.desk.signature.with_instructions(instructions)
        stop(create_optimizer(**{"run": name, **arguments}).compile(program, trainset=trainset))
        return count_calls()

    assert compile_with() == 60
    assert compile_with() == 0
    assert compile_with(**change) > 0


def test_failed_job_is_reported_and_gets_another_attempt(lm, tuner, sandbox, count_calls):
    sandbox.faults.add("internal-failure", times=1)
    optimizer = create_optimizer(run="fails")
    with pytest.raises(
        JobFailedError, match="1 of 2 jobs have not succeeded: .*: compile again"
    ) as caught:
        optimizer.compile(create_program(lm), trainset=TRAIN[:10])
    notes = caught.value.__notes__
    assert Counter(note.split(": ")[1] for note in notes) == {"failed": 1, "succeeded": 1}
    assert len(list(tuner.jobs())) == 2
    count_calls()
    stop(optimizer.compile(create_program(lm), trainset=TRAIN[:10]))
    assert count_calls() == 0
    assert len(list(tuner.jobs())) == 3
    assert len(run_names(tuner, "fails-")) == 2


@pytest.fixture
def create_lm(sandbox):
    """Return a function that creates an LM, and calls a function in one of the pauses of its tuner."""

    def create(action, pause=3):
        pauses = iter(range(1, 10_000))

        def sleep(seconds):
            sandbox.clock.advance(seconds)
            if next(pauses) == pause:
                action()

        poll = Poll(longest=240, sleep=sleep, clock=sandbox.clock.monotonic)
        return dspy.LM(NOVA, provider=BedrockProvider(Tuner(poll=poll)), cache=False)

    return create


@pytest.mark.parametrize("cancels_jobs", [False, True])
def test_cancelled_run_is_reported_and_continues_when_called_again(
    create_lm, tuner, sandbox, cancels_jobs
):
    def cancel():
        (run,) = tuner.runs()
        run.cancel(jobs=cancels_jobs)

    optimizer = create_optimizer(run="cancelled")
    with pytest.raises(JobStoppedError, match="2 of 2 jobs have not succeeded, as .* cancelled"):
        optimizer.compile(create_program(create_lm(cancel, pause=8)), trainset=TRAIN[:10])
    sandbox.clock.advance(timedelta(days=1))
    submitted = len(list(tuner.jobs()))
    assert submitted > 0
    stop(optimizer.compile(create_program(create_lm(int)), trainset=TRAIN[:10]))
    states = Counter(str(job.state) for job in tuner.jobs())
    assert states == {"succeeded": 2} | ({"stopped": submitted} if cancels_jobs else {})


def test_ctrl_c_leaves_the_run(create_lm, tuner, caplog):
    lm = create_lm(partial(signal.default_int_handler, signal.SIGINT, None))
    with pytest.raises(KeyboardInterrupt):
        create_optimizer(run="ctrl-c").compile(create_program(lm), trainset=TRAIN[:10])
    assert "run the same code again to wait for it" in caplog.text
    (run,) = tuner.runs()
    assert run.wait().counts() == {"succeeded": 2}


def test_records_of_another_process_are_used(lm):
    run = CompileRun.create("race", [(lm, None)])
    first = [[{"messages": [{"role": "user", "content": "first"}]}]]

    def collect():
        assert run.load_or_collect({"program": 1}, lambda: first) == first
        return [[{"messages": [{"role": "user", "content": "second"}]}]]

    assert run.load_or_collect({"program": 1}, collect) == first


def build_lms(sandbox, tuner, west):
    nova = {"model": NOVA, "provider": BedrockProvider(tuner)}
    without = replace(sandbox.deployment(), state_machine_arn=None)
    return {
        "openai": [dspy.LM(GPT, provider=OpenAIProvider(tuner))],
        "regions": [dspy.LM(**nova), dspy.LM(LLAMA, provider=BedrockProvider(west))],
        "queue": [dspy.LM(**nova, train_kwargs={"queue": 60})],
        "rerun": [dspy.LM(**nova, train_kwargs={"rerun": True})],
        "without": [dspy.LM(NOVA, provider=BedrockProvider(deployment=without))],
    }


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        ("openai", ConfigError, "runs need Bedrock: OpenAI has no service that submits jobs"),
        ("regions", ConfigError, "must use one stage and region"),
        ("queue", ConfigError, "queue is not an argument of the jobs of a run"),
        ("rerun", ConfigError, "rerun is not an argument of the jobs of a run"),
        ("without", DeploymentError, "has no state machine for runs: run `cdk deploy`"),
    ],
)
def test_what_a_run_can_not_do_is_refused_before_the_program_is_called(
    sandbox, tuner, west, count_calls, case, error, message
):
    program = TwoSteps()
    lms = build_lms(sandbox, tuner, west)[case]
    program.topic.lm, program.desk.lm = lms[0], lms[-1]
    for optimizer in (create_optimizer(run="no"), BetterTogether(accept_all, run="no")):
        with pytest.raises(error, match=message):
            optimizer.compile(program, trainset=TRAIN[:10])
    assert count_calls() == 0


def test_invalid_run_is_refused_before_the_program_is_called(lm, count_calls):
    with pytest.raises(ConfigError, match="invalid name 'a b'"):
        create_optimizer(run="a b").compile(create_program(lm), trainset=TRAIN[:10])
    example = dspy.Example(ticket=object(), desk="billing").with_inputs("ticket")
    with pytest.raises(ConfigError, match="object can't be converted to JSON"):
        create_optimizer(run="no").compile(create_program(lm), trainset=[example])
    assert count_calls() == 0
    with pytest.raises(ConfigError, match="pass run to BootstrapFinetune"):
        BetterTogether(is_correct, run="no", w=BootstrapFinetune(is_correct))


@pytest.mark.campaign
def test_better_together_fine_tunes_through_runs(lm, tuner, count_calls):
    def optimize():
        optimizer = BetterTogether(is_correct, raises=True, run="together")
        with dspy.context(lm=lm):
            best = optimizer.compile(
                ticket_program(lm), trainset=TRAIN[:60], valset=TEST, strategy="w -> w"
            )
        assert not best.flag_compilation_error_occurred
        return {row["strategy"]: row["score"] for row in best.candidate_programs}

    first, calls = optimize(), count_calls()
    assert optimize() == first
    assert calls - count_calls() == 2 * 60, "no example is run again, only the evaluations"
    assert len(run_names(tuner, "together-")) == len(list(tuner.jobs())) == 2


POINTS = [
    ("call 5[.]", "before"),
    ("PUT .*compile-", "before"),
    ("PUT .*compile-", "after"),
    ("StartExecution", "before"),
    ("StartExecution", "after"),
    ("DescribeExecution", "after"),
    ("POST .*custom-model-deployments", "before"),
    ("POST .*custom-model-deployments", "after"),
]
"""Moments at which the process is killed: collecting, storing the records, starting the run, waiting, deploying."""


def compile_in_process(sandbox, name, point, when):
    return subprocess.run(
        [sys.executable, "-m", "tests.sdk.compile_program", name, point, when],
        env={**sandbox.environment(), "ADMIN": sandbox.admin_url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "points", [POINTS[3:4], pytest.param(POINTS, marks=pytest.mark.campaign)], ids=len
)
def test_killed_compile_continues(tuner, sandbox, figure, points):
    name = f"desks{len(points)}"  # the records of the other variant are still in S3
    for point, when in points:
        done = compile_in_process(sandbox, name, point, when)
        assert done.returncode == -signal.SIGKILL, done.stderr
    done = compile_in_process(sandbox, name, "nothing", "never")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["calls"] == 0, "the records of the killed process are used"
    assert len(run_names(tuner, f"{name}-")) == 1
    assert len(list(tuner.jobs())) == 2
    endpoints = [endpoint.id.removeprefix("arn:") for endpoint in tuner.endpoints()]
    assert sorted(endpoints) == sorted(model.rpartition("arn:")[2] for model in result["models"])
    figure(f"compile through a run killed {len(points)} times: one run, 2 jobs, 2 deployments")
