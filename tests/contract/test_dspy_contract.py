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
from tunestack.dspy.credentials import lm_of_thread

SDK = Path(__file__).parents[2] / "sdk/pyproject.toml"


def names(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_installed_version_is_supported():
    extras = tomllib.loads(SDK.read_text())["project"]["optional-dependencies"]
    assert extras["dspy"] == ["dspy>=3.3,<3.5"]
    assert version("dspy").startswith(("3.3.", "3.4."))


def test_signatures_of_lm_and_provider():
    assert names(dspy.LM.finetune) == ["train_data", "train_data_format", "train_kwargs"]
    assert names(TrainingJob) == [
        "thread",
        "model",
        "train_data",
        "train_data_format",
        "train_kwargs",
    ]
    finetune = ["job", "model", "train_data", "train_data_format", "train_kwargs"]
    assert names(Provider.finetune) == finetune
    assert ["lm", "launch_kwargs"] == names(Provider.launch) == names(Provider.kill)
    assert ["launch_kwargs"] == names(dspy.LM.launch) == names(dspy.LM.kill)
    assert {status.value for status in TrainingStatus} == {
        "not_started",
        "pending",
        "running",
        "succeeded",
        "failed",
        "cancelled",
    }
    assert ("chat", "completion") == (TrainDataFormat.CHAT.value, TrainDataFormat.COMPLETION.value)


def test_lm_sets_an_exception_as_the_result():
    """And nothing but an Exception is caught: what the job and the providers make up for."""
    source = inspect.getsource(dspy.LM._run_finetune_job)
    assert "except Exception as err" in source
    assert "job.set_result(err)" in source
    assert "self.copy(model=model)" in source


def test_lm_is_saved_with_launch_kwargs_but_not_its_provider():
    lm = dspy.LM("bedrock/x", provider=BedrockProvider(), launch_kwargs={"kept": [1]})
    state = lm.dump_state()
    assert state["launch_kwargs"] == {"kept": [1]}
    assert "provider" not in state
    loaded = dspy.LM.load_state(state)
    assert loaded.launch_kwargs == {"kept": [1]}
    assert not isinstance(loaded.provider, BedrockProvider)
    copied = lm.copy(model="y")
    assert copied.launch_kwargs is lm.launch_kwargs, "so it is replaced, never changed"


def test_signatures_that_the_fixed_optimizers_rely_on():
    stock = dspy.BootstrapFinetune
    assert names(stock.compile) == ["student", "trainset", "teacher"]
    assert names(stock._prepare_finetune_data) == ["trace_data", "lm", "pred_ind"]
    assert names(stock.finetune_lms) == ["finetune_dict"]
    assert names(stock.convert_to_lm_dict) == ["arg"]
    assert set(names(build_call_data_from_trace)) == {
        "trace",
        "pred_ind",
        "adapter",
        "exclude_demos",
    }
    assert names(infer_data_format) == ["adapter"]
    assert names(prepare_teacher) == ["student", "teacher"]
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
def test_fixed_optimizer_has_the_signature_of_the_original(mended, original):
    """DSPy passes what the signature of `compile` names."""
    assert names(original.compile) == names(mended.compile)
    assert original.compile.__doc__ != mended.compile.__doc__


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_providers_are_providers_of_dspy(kind):
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
        optimizer._known_predictors = list(enumerate(program.predictors()))
        rows, _ = optimizer._prepare_finetune_data(trace_data=runs, lm=lm, pred_ind=place)
        return sorted(row["messages"][-1]["content"].split(" ## ]]")[0] for row in rows)

    @pytest.mark.parametrize(
        ("kind", "found"),
        [(dspy.BootstrapFinetune, ["[[ ## topic"]), (BootstrapFinetune, ["[[ ## desk"])],
    )
    def test_dspy_uses_the_index_in_the_trace_as_the_predictor(self, run, kind, found):
        program, said = run
        assert found == self.prepared(kind, program, [said], program.second.lm, 1)

    @pytest.mark.parametrize(
        ("kind", "count"), [(dspy.BootstrapFinetune, 3), (BootstrapFinetune, 2)]
    )
    def test_dspy_trains_each_lm_on_all_records(self, run, kind, count):
        program, said = run
        program.second.lm = dspy.LM("openai/y")
        assert count == len(self.prepared(kind, program, [said], program.first.lm, None))

    def test_dspy_does_not_skip_failed_answers(self, run):
        program, said = run
        predictor, inputs, _ = said["trace"][0]
        failed = FailedPrediction(completion_text="nonsense", format_reward=-1)
        other = {"trace": [(predictor, inputs, failed)], "score": -1, "prediction": failed}
        with pytest.raises(AttributeError):
            self.prepared(dspy.BootstrapFinetune, program, [said, other], program.first.lm, None)
        assert (
            len(self.prepared(BootstrapFinetune, program, [said, other], program.first.lm, None))
            == 3
        )

    def test_dspy_raises_key_error_for_an_lm_without_settings(self):
        named = {dspy.LM("openai/x"): {"n_epochs": 1}}
        with pytest.raises(KeyError):
            dspy.BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")]
        assert BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")] is None


def test_thread_of_a_job_refers_to_the_lm():
    """DSPy passes a provider the model's name alone; credentials that the LM has of its own are read from the LM."""
    found = []

    class Kept(Provider):
        def __init__(self):
            super().__init__()
            self.finetunable = True
            self.TrainingJob = self.keep

        def keep(self, thread, **_):
            found.append((lm_of_thread(thread), thread.daemon, thread.ident))
            thread.daemon = True
            return dspy.TrainingJob(thread=thread)

        @staticmethod
        def finetune(**_):
            return "x"

    lm = dspy.LM("bedrock/x", provider=Kept())
    job = lm.finetune([], None)
    assert found == [(lm, False, None)], "it is not started yet, and can be made a daemon"
    job.thread.join(10)
