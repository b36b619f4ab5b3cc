"""What BootstrapFinetune trains on, and what it refuses, before anything is asked or paid for."""

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


class Twice(dspy.Module):
    """Calls its first predictor twice, and then the second."""

    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("ticket -> topic")
        self.second = dspy.Predict(Desk)

    def forward(self, ticket):
        self.first(ticket=ticket)
        self.first(ticket=f"again, {ticket}")
        return self.second(ticket=ticket)


class Jobs:
    """A provider's place that keeps what jobs are asked for, and asks for none."""

    def __init__(self, lm):
        self.asked = {}
        for one in lm if isinstance(lm, list) else [lm]:
            one.finetune = lambda one=one, **how: self.keep(one, how)

    def keep(self, lm, how):
        self.asked.setdefault(lm.model, []).append(how)
        job = dspy.TrainingJob(model=lm.model, **how)
        job.thread = type("Done", (), {"join": lambda _: None})()
        job.set_result(lm)
        return job

    def fields(self, model):
        """The fields that are answered, of each job's records."""
        return [
            {
                row["messages"][-1]["content"].split(" ## ]]")[0].rsplit(" ", 1)[-1]
                for row in how["train_data"]
            }
            for how in self.asked[model]
        ]


def anything(example, prediction, trace=None):
    return True


def test_predictor_is_trained_on_its_own_answers(configured):
    """Upstream: with multitask off, by its place in the trace, which is another's if one is called twice."""
    student = Twice()
    student.set_lm(configured)
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything, multitask=False).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"topic"}, {"desk"}]
    assert [len(how["train_data"]) for how in jobs.asked[configured.model]] == [12, 6]


def test_lm_is_trained_on_answers_of_its_own_predictors(configured, tuner):
    """Upstream: each of several LMs is trained on all that was said."""
    other = dspy.LM(
        "bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False
    )
    student = Twice()
    student.first.lm, student.second.lm = configured, other
    jobs = Jobs([configured, other])
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"topic"}]
    assert jobs.fields(other.model) == [{"desk"}]


class Garbled(dspy.ChatAdapter):
    """Can't read two answers, or only in part."""

    def __init__(self, read):
        super().__init__(use_json_adapter_fallback=False)
        self.left = [read, read]

    def parse(self, signature, completion):
        if self.left:
            raise AdapterParseError("Garbled", signature, completion, parsed_result=self.left.pop())
        return super().parse(signature, completion)


@pytest.mark.parametrize("read", [None, {"reasoning": "x"}], ids=["not at all", "in part"])
def test_answer_that_can_not_be_parsed_is_left_out(configured, read):
    """Upstream: it takes the whole compilation with it, after all was asked and paid for."""
    student = ticket_program(configured)
    jobs = Jobs(configured)
    with dspy.context(adapter=Garbled(read)), pytest.raises((AttributeError, ValueError)):
        dspy.BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert jobs.asked == {}
    with dspy.context(adapter=Garbled(read)):
        BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert len(jobs.asked[configured.model][0]["train_data"]) == 4


class Refused(dspy.Module):
    """Fails at the first tickets, as when the vendor refuses to answer them."""

    def __init__(self, lm, count):
        super().__init__()
        self.desk = dspy.Predict(Desk)
        self.set_lm(lm)
        self.refused = tuple(f"Ticket {number}:" for number in range(count))

    def forward(self, ticket):
        if ticket.startswith(self.refused):
            raise RuntimeError("refused")
        return self.desk(ticket=ticket)


def test_failed_run_is_left_out(configured):
    """Upstream: it takes the whole compilation with it, after all was asked and paid for."""
    jobs = Jobs(configured)
    once, twice = Refused(configured, 1), Refused(configured, 2)
    with pytest.raises(ValueError, match="not enough values"):
        dspy.BootstrapFinetune(metric=anything).compile(once, trainset=TRAIN[:12])
    BootstrapFinetune(metric=anything).compile(once, trainset=TRAIN[:12])
    assert len(jobs.asked[configured.model][0]["train_data"]) == 11
    with pytest.raises(DataError, match="2 of 12 runs have failed, and nothing is submitted"):
        BootstrapFinetune(metric=anything).compile(twice, trainset=TRAIN[:12])
    BootstrapFinetune(metric=anything, max_failed=0.2).compile(twice, trainset=TRAIN[:12])
    assert [len(how["train_data"]) for how in jobs.asked[configured.model]] == [11, 10]


def test_more_jobs_than_threads_are_supported(configured):
    """Upstream: refused, after all was asked and paid for."""
    student = Twice()
    student.set_lm(configured)
    how = {"metric": anything, "multitask": False, "num_threads": 1}
    with pytest.raises(ValueError, match="bigger than or equal to the number of fine-tuning"):
        dspy.BootstrapFinetune(**how).compile(student, trainset=TRAIN[:2])
    jobs = Jobs(configured)
    BootstrapFinetune(**how).compile(student, trainset=TRAIN[:2])
    assert len(jobs.asked[configured.model]) == 2


def test_metric_that_accepts_no_run_raises_before_submission(configured, tuner, vendor):
    optimizer = BootstrapFinetune(metric=lambda *_: False)
    with pytest.raises(DataError, match="of 6 runs, none was accepted"):
        optimizer.compile(ticket_program(configured), trainset=TRAIN[:6])
    # DSPy's own submits a job without records, which the provider refuses.
    with pytest.raises(DataError):
        dspy.BootstrapFinetune(metric=lambda *_: False).compile(
            ticket_program(configured), trainset=TRAIN[:6]
        )
    assert list(tuner.jobs(provider=vendor)) == []


def test_program_without_an_lm_is_rejected_before_it_is_called(configured):
    with pytest.raises(ConfigError, match="predictor 'self' does not have an LM assigned"):
        BootstrapFinetune(metric=is_correct).compile(dspy.Predict(Desk), trainset=TRAIN)
    with pytest.raises(ConfigError, match="set_lm"):
        BetterTogether(metric=is_correct).compile(dspy.Predict(Desk), trainset=TRAIN)


def test_lm_without_an_entry_in_train_kwargs_uses_its_own(configured, tuner):
    """Upstream: a KeyError, after all was asked."""
    other = dspy.LM("openai/gpt-4o", train_kwargs={"n_epochs": 1})
    student = ticket_program(configured)
    configured.train_kwargs = {"epochCount": 2}
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything, train_kwargs={other: {"n_epochs": 4}}).compile(
        student, trainset=TRAIN[:6]
    )
    assert jobs.asked[configured.model][0]["train_kwargs"] is None


def test_failed_job_does_not_lose_the_others(tuner, chat):
    good = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    bad = dspy.LM("bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False)
    how = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    broken = {**how, "train_kwargs": {"nonsense": 1}}
    with pytest.raises(ConfigError) as caught:
        BootstrapFinetune.finetune_lms({"bad": {"lm": bad, **broken}, "good": {"lm": good, **how}})
    assert len(caught.value.__notes__) == 2
    assert "succeeded, submitting the same data again finds it" in caught.value.__notes__[1]
    tuned = BootstrapFinetune.finetune_lms({"good": {"lm": good, **how}})["good"]
    assert len(list(tuner.jobs())) == 1
    stop(tuned)


def test_model_without_fine_tuning_is_rejected_before_the_program_is_called(configured):
    student = Twice()
    student.set_lm(configured)
    student.second.lm = dspy.LM("anthropic/claude")
    with pytest.raises(ConfigError, match="LM of predictor 'second'"):
        BootstrapFinetune(metric=is_correct).compile(student, trainset=TRAIN)


class Copied(dspy.Module):
    """Asks a copy of its predictor, as dspy.BestOfN does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        return self.desk.deepcopy()(ticket=ticket)


def test_copied_predictor_is_matched_by_its_signature(configured):
    student = Copied()
    student.set_lm(configured)
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"desk"}]


class Strange(dspy.Module):
    """Asks something beside its predictors, as dspy.Refine does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        dspy.Predict("ticket -> advice")(ticket=ticket)
        return self.desk(ticket=ticket)


def test_answers_of_other_predictors_are_not_trained_on(configured, caplog):
    """Upstream: it is."""
    student = Strange()
    student.set_lm(configured)
    jobs = Jobs(configured)
    dspy.BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    student = Strange()
    student.set_lm(configured)
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert jobs.fields(configured.model) == [{"advice", "desk"}, {"desk"}]
    assert "6 answers are not from the program's own predictors" in caplog.text


@pytest.mark.parametrize(
    "adapter", [dspy.JSONAdapter(), BAMLAdapter(), dspy.TwoStepAdapter(DummyLM([]))]
)
def test_adapter_without_training_data_is_rejected_before_the_program_is_called(
    configured, adapter, sandbox
):
    """Upstream: NotImplementedError, after all was asked and paid for."""
    sandbox.faults.add("error", operation="*", times=None)
    with dspy.context(adapter=adapter), pytest.raises(ConfigError, match="use dspy.ChatAdapter"):
        BootstrapFinetune(metric=anything).compile(ticket_program(configured), trainset=TRAIN[:6])


def test_settings_of_an_lm_apply_to_copies_and_fine_tuned_lms(configured, caplog):
    """Upstream: a KeyError; as a default, an unlimited job."""
    said = BootstrapFinetune(metric=anything, train_kwargs={configured: {"max_cost": 5}})
    copied = ticket_program(configured).deepcopy().lm
    assert copied is not configured
    assert said.train_kwargs[copied] == {"max_cost": 5}
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "x"}]}
        for n in range(20)
    ]
    tuned = configured.finetune(rows, "chat", {}).result()
    assert said.train_kwargs[tuned] == {"max_cost": 5}
    stop(tuned)
    assert said.train_kwargs[dspy.LM("openai/gpt-4o")] is None
    assert "no settings for openai/gpt-4o" in caplog.text


def test_unsupported_lm_class_is_rejected_before_submission(configured, chat):
    jobs = Jobs(configured)
    how = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    mine = DummyLM([])
    with pytest.raises(ConfigError, match="is a DummyLM, which can't be fine-tuned: use a dspy.LM"):
        BootstrapFinetune.finetune_lms({1: {"lm": configured, **how}, 2: {"lm": mine, **how}})
    assert jobs.asked == {}
