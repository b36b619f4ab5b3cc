"""The records that BootstrapFinetune trains on, and the settings that it rejects before a program is called."""

from typing import Any

import dspy
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.utils.dummies import DummyLM
from dspy.utils.exceptions import AdapterParseError

from tests.sdk.desks import IGNORED_WARNINGS, NOVA, TRAIN, Desk, is_correct, ticket_program
from tunestack.dspy import (
    BedrockProvider,
    BetterTogether,
    BootstrapFinetune,
    stop,
)
from tunestack.errors import ConfigError, DataError

pytestmark = IGNORED_WARNINGS


class CallsTwice(dspy.Module):
    """Calls its first predictor twice, and then the second."""

    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("ticket -> topic")
        self.second = dspy.Predict(Desk)

    def forward(self, ticket):
        self.first(ticket=ticket)
        self.first(ticket=f"again, {ticket}")
        return self.second(ticket=ticket)


class RecordedJobs:
    """Replaces `finetune` of LMs, and records the arguments instead of creating jobs."""

    def __init__(self, lm):
        self.arguments = {}
        for one in lm if isinstance(lm, list) else [lm]:
            one.finetune = lambda one=one, **arguments: self.record(one, arguments)

    def record(self, lm, arguments):
        self.arguments.setdefault(lm.model, []).append(arguments)
        job = dspy.TrainingJob(model=lm.model, **arguments)
        job.thread = type("Done", (), {"join": lambda _: None})()
        job.set_result(lm)
        return job

    def fields(self, model):
        """Return the output fields in the records of each job."""
        return [
            {
                row["messages"][-1]["content"].split(" ## ]]")[0].rsplit(" ", 1)[-1]
                for row in arguments["train_data"]
            }
            for arguments in self.arguments[model]
        ]


def accept_all(example, prediction, trace=None):
    return True


def test_predictor_is_trained_on_its_own_answers(configured):
    """DSPy uses the index in the trace, which is another predictor's if one is called twice."""
    student = CallsTwice()
    student.set_lm(configured)
    jobs = RecordedJobs(configured)
    BootstrapFinetune(metric=accept_all, multitask=False).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"topic"}, {"desk"}]
    assert [len(arguments["train_data"]) for arguments in jobs.arguments[configured.model]] == [
        12,
        6,
    ]


def test_lm_is_trained_on_answers_of_its_own_predictors(configured, tuner):
    """DSPy trains each of several LMs on all answers."""
    other = dspy.LM(
        "bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False
    )
    student = CallsTwice()
    student.first.lm, student.second.lm = configured, other
    jobs = RecordedJobs([configured, other])
    BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"topic"}]
    assert jobs.fields(other.model) == [{"desk"}]


class Garbled(dspy.ChatAdapter):
    """Fails to parse two answers, or parses them only in part."""

    def __init__(self, partial_result):
        super().__init__(use_json_adapter_fallback=False)
        self.failures = [partial_result, partial_result]

    def parse(self, signature, completion):
        if self.failures:
            raise AdapterParseError(
                "Garbled", signature, completion, parsed_result=self.failures.pop()
            )
        return super().parse(signature, completion)


@pytest.mark.parametrize(
    "partial_result", [None, {"reasoning": "x"}], ids=["not at all", "in part"]
)
def test_answer_that_can_not_be_parsed_is_left_out(configured, partial_result):
    """DSPy aborts the compilation, after all calls were paid for."""
    student = ticket_program(configured)
    jobs = RecordedJobs(configured)
    with dspy.context(adapter=Garbled(partial_result)), pytest.raises((AttributeError, ValueError)):
        dspy.BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    assert jobs.arguments == {}
    with dspy.context(adapter=Garbled(partial_result)):
        BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    assert len(jobs.arguments[configured.model][0]["train_data"]) == 4


class Failing(dspy.Module):
    """Fails for the first tickets, as if the provider rejected them."""

    def __init__(self, lm, count):
        super().__init__()
        self.desk = dspy.Predict(Desk)
        self.set_lm(lm)
        self.failing = tuple(f"Ticket {number}:" for number in range(count))

    def forward(self, ticket):
        if ticket.startswith(self.failing):
            raise RuntimeError("rejected")
        return self.desk(ticket=ticket)


def test_failed_run_is_left_out(configured):
    """DSPy aborts the compilation, after all calls were paid for."""
    jobs = RecordedJobs(configured)
    once, twice = Failing(configured, 1), Failing(configured, 2)
    with pytest.raises(ValueError, match="not enough values"):
        dspy.BootstrapFinetune(metric=accept_all).compile(once, trainset=TRAIN[:12])
    BootstrapFinetune(metric=accept_all).compile(once, trainset=TRAIN[:12])
    assert len(jobs.arguments[configured.model][0]["train_data"]) == 11
    with pytest.raises(DataError, match="2 of 12 runs have failed, and nothing is submitted"):
        BootstrapFinetune(metric=accept_all).compile(twice, trainset=TRAIN[:12])
    BootstrapFinetune(metric=accept_all, max_failed=0.2).compile(twice, trainset=TRAIN[:12])
    assert [len(arguments["train_data"]) for arguments in jobs.arguments[configured.model]] == [
        11,
        10,
    ]


def test_more_jobs_than_threads_are_supported(configured):
    """DSPy raises an error, after all calls were paid for."""
    student = CallsTwice()
    student.set_lm(configured)
    arguments: dict[str, Any] = {"metric": accept_all, "multitask": False, "num_threads": 1}
    with pytest.raises(ValueError, match="bigger than or equal to the number of fine-tuning"):
        dspy.BootstrapFinetune(**arguments).compile(student, trainset=TRAIN[:2])
    jobs = RecordedJobs(configured)
    BootstrapFinetune(**arguments).compile(student, trainset=TRAIN[:2])
    assert len(jobs.arguments[configured.model]) == 2


def test_metric_that_accepts_no_run_raises_before_submission(configured, tuner, provider):
    optimizer = BootstrapFinetune(metric=lambda *_: False)
    with pytest.raises(DataError, match="of 6 runs, none was accepted"):
        optimizer.compile(ticket_program(configured), trainset=TRAIN[:6])
    # DSPy's own class submits a job without records, which the provider rejects.
    with pytest.raises(DataError):
        dspy.BootstrapFinetune(metric=lambda *_: False).compile(
            ticket_program(configured), trainset=TRAIN[:6]
        )
    assert list(tuner.jobs(provider=provider)) == []


def test_program_without_an_lm_is_rejected_before_it_is_called(configured):
    with pytest.raises(ConfigError, match="predictor 'self' does not have an LM assigned"):
        BootstrapFinetune(metric=is_correct).compile(dspy.Predict(Desk), trainset=TRAIN)
    with pytest.raises(ConfigError, match="set_lm"):
        BetterTogether(metric=is_correct).compile(dspy.Predict(Desk), trainset=TRAIN)


def test_lm_without_an_entry_in_train_kwargs_uses_its_own(configured, tuner):
    """DSPy raises KeyError, after all calls were paid for."""
    other = dspy.LM("openai/gpt-4o", train_kwargs={"n_epochs": 1})
    student = ticket_program(configured)
    configured.train_kwargs = {"epochCount": 2}
    jobs = RecordedJobs(configured)
    BootstrapFinetune(metric=accept_all, train_kwargs={other: {"n_epochs": 4}}).compile(
        student, trainset=TRAIN[:6]
    )
    assert jobs.arguments[configured.model][0]["train_kwargs"] is None


def test_failed_job_does_not_lose_the_others(tuner, chat):
    good = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    bad = dspy.LM("bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False)
    arguments = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    broken = {**arguments, "train_kwargs": {"nonsense": 1}}
    with pytest.raises(ConfigError) as caught:
        BootstrapFinetune.finetune_lms(
            {"bad": {"lm": bad, **broken}, "good": {"lm": good, **arguments}}
        )
    assert len(caught.value.__notes__) == 2
    assert "succeeded, submitting the same data again finds it" in caught.value.__notes__[1]
    fine_tuned = BootstrapFinetune.finetune_lms({"good": {"lm": good, **arguments}})["good"]
    assert len(list(tuner.jobs())) == 1
    stop(fine_tuned)


def test_model_without_fine_tuning_is_rejected_before_the_program_is_called(configured):
    student = CallsTwice()
    student.set_lm(configured)
    student.second.lm = dspy.LM("anthropic/claude")
    with pytest.raises(ConfigError, match="LM of predictor 'second'"):
        BootstrapFinetune(metric=is_correct).compile(student, trainset=TRAIN)


class CallsCopy(dspy.Module):
    """Calls a copy of its predictor, as dspy.BestOfN does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        return self.desk.deepcopy()(ticket=ticket)


def test_copied_predictor_is_matched_by_its_signature(configured):
    student = CallsCopy()
    student.set_lm(configured)
    jobs = RecordedJobs(configured)
    BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"desk"}]


class CallsOther(dspy.Module):
    """Calls another predictor than its own, as dspy.Refine does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        dspy.Predict("ticket -> advice")(ticket=ticket)
        return self.desk(ticket=ticket)


def test_answers_of_other_predictors_are_not_trained_on(configured, caplog):
    """DSPy trains on them."""
    student = CallsOther()
    student.set_lm(configured)
    jobs = RecordedJobs(configured)
    dspy.BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    student = CallsOther()
    student.set_lm(configured)
    BootstrapFinetune(metric=accept_all).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"advice", "desk"}, {"desk"}]
    assert "6 answers are not from the program's own predictors" in caplog.text


@pytest.mark.parametrize(
    "adapter", [dspy.JSONAdapter(), BAMLAdapter(), dspy.TwoStepAdapter(DummyLM([]))]
)
def test_adapter_without_training_data_is_rejected_before_the_program_is_called(
    configured, adapter, sandbox
):
    """DSPy raises NotImplementedError, after all calls were paid for."""
    sandbox.faults.add("error", operation="*", times=None)
    with dspy.context(adapter=adapter), pytest.raises(ConfigError, match="use dspy.ChatAdapter"):
        BootstrapFinetune(metric=accept_all).compile(ticket_program(configured), trainset=TRAIN[:6])


def test_settings_of_an_lm_apply_to_copies_and_fine_tuned_lms(configured, caplog):
    """DSPy raises KeyError. A default would submit a job without `max_cost`."""
    optimizer = BootstrapFinetune(metric=accept_all, train_kwargs={configured: {"max_cost": 5}})
    copied = ticket_program(configured).deepcopy().lm
    assert copied is not configured
    assert optimizer.train_kwargs[copied] == {"max_cost": 5}
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "x"}]}
        for n in range(20)
    ]
    fine_tuned = configured.finetune(rows, "chat", {}).result()
    assert optimizer.train_kwargs[fine_tuned] == {"max_cost": 5}
    stop(fine_tuned)
    assert optimizer.train_kwargs[dspy.LM("openai/gpt-4o")] is None
    assert "train_kwargs has no entry for openai/gpt-4o" in caplog.text


def test_unsupported_lm_class_is_rejected_before_submission(configured, chat):
    jobs = RecordedJobs(configured)
    arguments = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    dummy = DummyLM([])
    with pytest.raises(ConfigError, match="is a DummyLM, which can't be fine-tuned: use a dspy.LM"):
        BootstrapFinetune.finetune_lms(
            {1: {"lm": configured, **arguments}, 2: {"lm": dummy, **arguments}}
        )
    assert jobs.arguments == {}
