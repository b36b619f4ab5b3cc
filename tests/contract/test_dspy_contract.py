"""What is relied on of DSPy beyond its documentation: when a version changes it, this says so before a user does."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import dspy
import pytest
from dspy.clients.provider import Provider, TrainingJob
from dspy.clients.utils_finetune import TrainDataFormat, TrainingStatus
from dspy.teleprompt.bootstrap_finetune import (
    bootstrap_trace_data,
    build_call_data_from_trace,
    infer_data_format,
    prepare_teacher,
)
from dspy.teleprompt.bootstrap_trace import FailedPrediction

from tests.sdk.desks import Desk
from tunestack.dspy import BedrockProvider, BetterTogether, BootstrapFinetune, OpenAIProvider
from tunestack.dspy.credentials import lm_of

SDK = Path(__file__).parents[2] / "sdk/pyproject.toml"


def names(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_version_is_one_that_was_looked_at():
    extras = tomllib.loads(SDK.read_text())["project"]["optional-dependencies"]
    assert ["dspy>=3.3,<3.5"] == extras["dspy"]
    assert version("dspy").startswith(("3.3.", "3.4."))


def test_what_lm_and_provider_say_to_each_other():
    assert ["train_data", "train_data_format", "train_kwargs"] == names(dspy.LM.finetune)
    assert ["thread", "model", "train_data", "train_data_format", "train_kwargs"] == names(
        TrainingJob
    )
    finetune = ["job", "model", "train_data", "train_data_format", "train_kwargs"]
    assert finetune == names(Provider.finetune)
    assert ["lm", "launch_kwargs"] == names(Provider.launch) == names(Provider.kill)
    assert ["launch_kwargs"] == names(dspy.LM.launch) == names(dspy.LM.kill)
    assert {"not_started", "pending", "running", "succeeded", "failed", "cancelled"} == {
        status.value for status in TrainingStatus
    }
    assert ("chat", "completion") == (TrainDataFormat.CHAT.value, TrainDataFormat.COMPLETION.value)


def test_an_exception_is_set_as_the_result():
    """And nothing but an Exception is caught: what the job and the providers make up for."""
    source = inspect.getsource(dspy.LM._run_finetune_job)
    assert "except Exception as err" in source
    assert "job.set_result(err)" in source
    assert "self.copy(model=model)" in source


def test_what_is_saved_of_an_lm_and_what_is_not():
    lm = dspy.LM("bedrock/x", provider=BedrockProvider(), launch_kwargs={"kept": [1]})
    state = lm.dump_state()
    assert {"kept": [1]} == state["launch_kwargs"]
    assert "provider" not in state
    loaded = dspy.LM.load_state(state)
    assert {"kept": [1]} == loaded.launch_kwargs
    assert not isinstance(loaded.provider, BedrockProvider)
    copied = lm.copy(model="y")
    assert copied.launch_kwargs is lm.launch_kwargs, "so it is replaced, never changed"


def test_what_the_optimizers_are_mended_by():
    stock = dspy.BootstrapFinetune
    assert ["student", "trainset", "teacher"] == names(stock.compile)
    assert ["trace_data", "lm", "pred_ind"] == names(stock._prepare_finetune_data)
    assert ["finetune_dict"] == names(stock.finetune_lms)
    assert ["arg"] == names(stock.convert_to_lm_dict)
    assert {"trace", "pred_ind", "adapter", "exclude_demos"} == set(
        names(build_call_data_from_trace)
    )
    assert ["adapter"] == names(infer_data_format)
    assert ["student", "teacher"] == names(prepare_teacher)
    asked = {"program", "dataset", "metric", "num_threads", "raise_on_error"}
    assert asked <= set(names(bootstrap_trace_data))
    assert FailedPrediction(completion_text="x").format_reward is None
    for mended, original in (
        (BootstrapFinetune, dspy.BootstrapFinetune),
        (BetterTogether, dspy.BetterTogether),
    ):
        assert set(names(original.__init__)) <= {*names(mended.__init__), "optimizers"}


@pytest.mark.parametrize(
    ("mended", "original"),
    [(BootstrapFinetune, dspy.BootstrapFinetune), (BetterTogether, dspy.BetterTogether)],
)
def test_a_mended_optimizer_can_be_a_step_of_another(mended, original):
    """DSPy passes what the signature of `compile` names."""
    assert names(original.compile) == names(mended.compile)
    assert original.compile.__doc__ != mended.compile.__doc__


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_a_provider_of_ours_is_one_of_dspys(kind):
    assert isinstance(kind(), Provider)
    assert kind().finetunable
    assert not kind().reinforceable


class TestUpstream:
    """Faults of DSPy's own classes; when one is gone, what mends it here can go as well."""

    class Twice(dspy.Module):
        def __init__(self):
            super().__init__()
            self.first = dspy.Predict("ticket -> topic")
            self.second = dspy.Predict(Desk)

    @pytest.fixture
    def run(self):
        """A program whose first predictor was called twice, and what was said."""
        program = self.Twice()
        program.set_lm(dspy.LM("openai/x"))
        topic, desk = dspy.Prediction(topic="t"), dspy.Prediction(desk="billing")
        trace = [
            (program.first, {"ticket": "a"}, topic),
            (program.first, {"ticket": "b"}, topic),
            (program.second, {"ticket": "c"}, desk),
        ]
        return program, {"trace": trace, "score": 1, "prediction": desk}

    def prepared(self, kind, program, runs, lm, place):
        optimizer = kind(metric=lambda *_: True)
        optimizer._student = program
        optimizer._known = list(enumerate(program.predictors()))
        rows, _ = optimizer._prepare_finetune_data(trace_data=runs, lm=lm, pred_ind=place)
        return sorted(row["messages"][-1]["content"].split(" ## ]]")[0] for row in rows)

    @pytest.mark.parametrize(
        ("kind", "found"),
        [(dspy.BootstrapFinetune, ["[[ ## topic"]), (BootstrapFinetune, ["[[ ## desk"])],
    )
    def test_the_place_in_a_trace_is_taken_for_the_predictor(self, run, kind, found):
        program, said = run
        assert found == self.prepared(kind, program, [said], program.second.lm, 1)

    @pytest.mark.parametrize(
        ("kind", "count"), [(dspy.BootstrapFinetune, 3), (BootstrapFinetune, 2)]
    )
    def test_each_lm_is_trained_on_everything(self, run, kind, count):
        program, said = run
        program.second.lm = dspy.LM("openai/y")
        assert count == len(self.prepared(kind, program, [said], program.first.lm, None))

    def test_a_failed_answer_is_trained_on(self, run):
        program, said = run
        predictor, inputs, _ = said["trace"][0]
        failed = FailedPrediction(completion_text="nonsense", format_reward=-1)
        other = {"trace": [(predictor, inputs, failed)], "score": -1, "prediction": failed}
        with pytest.raises(AttributeError):
            self.prepared(dspy.BootstrapFinetune, program, [said, other], program.first.lm, None)
        assert 3 == len(
            self.prepared(BootstrapFinetune, program, [said, other], program.first.lm, None)
        )

    def test_an_lm_that_is_not_named_is_a_key_error(self):
        named = {dspy.LM("openai/x"): {"n_epochs": 1}}
        with pytest.raises(KeyError):
            dspy.BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")]
        assert BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")] is None


def test_the_thread_that_a_job_is_given_leads_to_the_lm():
    """DSPy passes a provider the model's name alone; credentials that the LM has of its own are read from the LM."""
    found = []

    class Kept(Provider):
        def __init__(self):
            super().__init__()
            self.finetunable = True
            self.TrainingJob = self.keep

        def keep(self, thread, **_):
            found.append((lm_of(thread), thread.daemon, thread.ident))
            thread.daemon = True
            return dspy.TrainingJob(thread=thread)

        @staticmethod
        def finetune(**_):
            return "x"

    lm = dspy.LM("bedrock/x", provider=Kept())
    job = lm.finetune([], None)
    assert [(lm, False, None)] == found, "it is not started yet, and can be made a daemon"
    job.thread.join(10)
