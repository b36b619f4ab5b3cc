"""What BootstrapFinetune trains on, and what it refuses, before anything is asked or paid for."""

import dspy
import pytest
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.utils.dummies import DummyLM
from dspy.utils.exceptions import AdapterParseError

from tests.sdk.desks import NOVA, QUIET, TRAIN, Desk, program, right
from tunestack.dspy import (
    BedrockProvider,
    BetterTogether,
    BootstrapFinetune,
    stop,
)
from tunestack.errors import ConfigError, DataError

pytestmark = QUIET


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


def test_a_predictor_learns_what_it_said_itself(configured):
    """Upstream: with multitask off, by its place in the trace, which is another's if one is called twice."""
    student = Twice()
    student.set_lm(configured)
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything, multitask=False).compile(student, trainset=TRAIN[:6])
    assert [{"topic"}, {"desk"}] == jobs.fields(configured.model)
    assert [12, 6] == [len(how["train_data"]) for how in jobs.asked[configured.model]]


def test_an_lm_learns_what_its_own_predictors_said(configured, tuner):
    """Upstream: each of several LMs is trained on all that was said."""
    other = dspy.LM(
        "bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False
    )
    student = Twice()
    student.first.lm, student.second.lm = configured, other
    jobs = Jobs([configured, other])
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert [{"topic"}] == jobs.fields(configured.model)
    assert [{"desk"}] == jobs.fields(other.model)


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
def test_an_answer_that_can_not_be_read_ends_nothing(configured, read):
    """Upstream: it takes the whole compilation with it, after all was asked and paid for."""
    student = program(configured)
    jobs = Jobs(configured)
    with dspy.context(adapter=Garbled(read)), pytest.raises((AttributeError, ValueError)):
        dspy.BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert {} == jobs.asked
    with dspy.context(adapter=Garbled(read)):
        BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert 4 == len(jobs.asked[configured.model][0]["train_data"])


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


def test_a_question_that_is_refused_ends_nothing(configured):
    """Upstream: it takes the whole compilation with it, after all was asked and paid for."""
    jobs = Jobs(configured)
    once, twice = Refused(configured, 1), Refused(configured, 2)
    with pytest.raises(ValueError, match="not enough values"):
        dspy.BootstrapFinetune(metric=anything).compile(once, trainset=TRAIN[:12])
    BootstrapFinetune(metric=anything).compile(once, trainset=TRAIN[:12])
    assert 11 == len(jobs.asked[configured.model][0]["train_data"])
    with pytest.raises(DataError, match="2 of 12 runs have failed, and nothing is submitted"):
        BootstrapFinetune(metric=anything).compile(twice, trainset=TRAIN[:12])
    BootstrapFinetune(metric=anything, max_failed=0.2).compile(twice, trainset=TRAIN[:12])
    assert [11, 10] == [len(how["train_data"]) for how in jobs.asked[configured.model]]


def test_there_may_be_more_jobs_than_threads(configured):
    """Upstream: refused, after all was asked and paid for."""
    student = Twice()
    student.set_lm(configured)
    how = {"metric": anything, "multitask": False, "num_threads": 1}
    with pytest.raises(ValueError, match="bigger than or equal to the number of fine-tuning"):
        dspy.BootstrapFinetune(**how).compile(student, trainset=TRAIN[:2])
    jobs = Jobs(configured)
    BootstrapFinetune(**how).compile(student, trainset=TRAIN[:2])
    assert 2 == len(jobs.asked[configured.model])


def test_a_metric_that_lets_nothing_through_is_told_of_before_a_job_is_made(
    configured, tuner, vendor
):
    optimizer = BootstrapFinetune(metric=lambda *_: False)
    with pytest.raises(DataError, match="of 6 runs none has passed"):
        optimizer.compile(program(configured), trainset=TRAIN[:6])
    # DSPy's own submits a job without records, which the provider refuses.
    with pytest.raises(DataError):
        dspy.BootstrapFinetune(metric=lambda *_: False).compile(
            program(configured), trainset=TRAIN[:6]
        )
    assert [] == list(tuner.jobs(provider=vendor))


def test_a_program_without_an_lm_is_refused_before_anything_is_asked(configured):
    with pytest.raises(ConfigError, match="predictor 'self' does not have an LM assigned"):
        BootstrapFinetune(metric=right).compile(dspy.Predict(Desk), trainset=TRAIN)
    with pytest.raises(ConfigError, match="set_lm"):
        BetterTogether(metric=right).compile(dspy.Predict(Desk), trainset=TRAIN)


def test_an_lm_that_is_not_named_is_tuned_with_its_own_settings(configured, tuner):
    """Upstream: a KeyError, after all was asked."""
    other = dspy.LM("openai/gpt-4o", train_kwargs={"n_epochs": 1})
    student = program(configured)
    configured.train_kwargs = {"epochCount": 2}
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything, train_kwargs={other: {"n_epochs": 4}}).compile(
        student, trainset=TRAIN[:6]
    )
    assert jobs.asked[configured.model][0]["train_kwargs"] is None


def test_of_several_jobs_none_is_lost_because_another_fails(tuner, chat):
    good = dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False)
    bad = dspy.LM("bedrock/us.amazon.nova-lite-v1:0", provider=BedrockProvider(tuner), cache=False)
    how = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    broken = {**how, "train_kwargs": {"nonsense": 1}}
    with pytest.raises(ConfigError) as caught:
        BootstrapFinetune.finetune_lms({"bad": {"lm": bad, **broken}, "good": {"lm": good, **how}})
    assert 2 == len(caught.value.__notes__)
    assert "succeeded, and is found when the same is submitted again" in caught.value.__notes__[1]
    tuned = BootstrapFinetune.finetune_lms({"good": {"lm": good, **how}})["good"]
    assert 1 == len(list(tuner.jobs()))
    stop(tuned)


def test_a_model_that_nobody_can_tune_is_refused_before_anything_is_asked(configured):
    student = Twice()
    student.set_lm(configured)
    student.second.lm = dspy.LM("anthropic/claude")
    with pytest.raises(ConfigError, match="LM of predictor 'second'"):
        BootstrapFinetune(metric=right).compile(student, trainset=TRAIN)


class Copied(dspy.Module):
    """Asks a copy of its predictor, as dspy.BestOfN does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        return self.desk.deepcopy()(ticket=ticket)


def test_a_predictor_that_is_copied_while_it_runs_is_known_by_its_signature(configured):
    student = Copied()
    student.set_lm(configured)
    jobs = Jobs(configured)
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert [{"desk"}] == jobs.fields(configured.model)


class Strange(dspy.Module):
    """Asks something beside its predictors, as dspy.Refine does."""

    def __init__(self):
        super().__init__()
        self.desk = dspy.Predict(Desk)

    def forward(self, ticket):
        dspy.Predict("ticket -> advice")(ticket=ticket)
        return self.desk(ticket=ticket)


def test_what_is_asked_beside_a_program_is_not_trained_on(configured, caplog):
    """Upstream: it is."""
    student = Strange()
    student.set_lm(configured)
    jobs = Jobs(configured)
    dspy.BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    student = Strange()
    student.set_lm(configured)
    BootstrapFinetune(metric=anything).compile(student, trainset=TRAIN[:6])
    assert [{"advice", "desk"}, {"desk"}] == jobs.fields(configured.model)
    assert "6 answers are not of the program's own predictors" in caplog.text


@pytest.mark.parametrize(
    "adapter", [dspy.JSONAdapter(), BAMLAdapter(), dspy.TwoStepAdapter(DummyLM([]))]
)
def test_an_adapter_that_writes_no_training_data_is_refused_before_anything_is_asked(
    configured, adapter, sandbox
):
    """Upstream: NotImplementedError, after all was asked and paid for."""
    sandbox.faults.add("error", operation="*", times=None)
    with dspy.context(adapter=adapter), pytest.raises(ConfigError, match="use dspy.ChatAdapter"):
        BootstrapFinetune(metric=anything).compile(program(configured), trainset=TRAIN[:6])


def test_what_is_said_for_an_lm_holds_for_its_copies_and_for_what_comes_of_it(configured, caplog):
    """Upstream: a KeyError; as a default, an unlimited job."""
    said = BootstrapFinetune(metric=anything, train_kwargs={configured: {"max_cost": 5}})
    copied = program(configured).deepcopy().lm
    assert copied is not configured
    assert {"max_cost": 5} == said.train_kwargs[copied]
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "x"}]}
        for n in range(20)
    ]
    tuned = configured.finetune(rows, "chat", {}).result()
    assert {"max_cost": 5} == said.train_kwargs[tuned]
    stop(tuned)
    assert said.train_kwargs[dspy.LM("openai/gpt-4o")] is None
    assert "nothing is said for openai/gpt-4o" in caplog.text


def test_what_is_no_lm_is_refused_before_a_job_is_made(configured, chat):
    jobs = Jobs(configured)
    how = {"train_data": chat, "train_data_format": "chat", "train_kwargs": {}}
    mine = DummyLM([])
    with pytest.raises(ConfigError, match="is a DummyLM: only a dspy.LM is tuned"):
        BootstrapFinetune.finetune_lms({1: {"lm": configured, **how}, 2: {"lm": mine, **how}})
    assert {} == jobs.asked
