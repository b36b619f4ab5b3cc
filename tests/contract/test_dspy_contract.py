"""Undocumented behavior of DSPy that Tunestack depends on: these tests fail if a new version changes it."""

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


def get_parameter_names(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_dspy_version_is_supported():
    extras = tomllib.loads(SDK.read_text())["project"]["optional-dependencies"]
    assert extras["dspy"] == ["dspy>=3.3,<3.5"]
    assert version("dspy").startswith(("3.3.", "3.4."))


def test_signatures_of_lm_provider_and_training_job():
    assert get_parameter_names(dspy.LM.finetune) == [
        "train_data",
        "train_data_format",
        "train_kwargs",
    ]
    assert get_parameter_names(TrainingJob) == [
        "thread",
        "model",
        "train_data",
        "train_data_format",
        "train_kwargs",
    ]
    assert get_parameter_names(Provider.finetune) == [
        "job",
        "model",
        "train_data",
        "train_data_format",
        "train_kwargs",
    ]
    for method in (Provider.launch, Provider.kill):
        assert get_parameter_names(method) == ["lm", "launch_kwargs"]
    for method in (dspy.LM.launch, dspy.LM.kill):
        assert get_parameter_names(method) == ["launch_kwargs"]
    assert {status.value for status in TrainingStatus} == {
        "not_started",
        "pending",
        "running",
        "succeeded",
        "failed",
        "cancelled",
    }
    assert TrainDataFormat.CHAT.value == "chat"
    assert TrainDataFormat.COMPLETION.value == "completion"


def test_lm_returns_an_exception_as_the_result_of_a_job():
    """It catches `Exception` only. The job and the providers of Tunestack work around both."""
    source = inspect.getsource(dspy.LM._run_finetune_job)
    assert "except Exception as err" in source
    assert "job.set_result(err)" in source
    assert "self.copy(model=model)" in source


def test_saved_lm_has_launch_kwargs_but_no_provider():
    lm = dspy.LM("bedrock/x", provider=BedrockProvider(), launch_kwargs={"kept": [1]})
    state = lm.dump_state()
    assert state["launch_kwargs"] == {"kept": [1]}
    assert "provider" not in state
    loaded = dspy.LM.load_state(state)
    assert loaded.launch_kwargs == {"kept": [1]}
    assert not isinstance(loaded.provider, BedrockProvider)
    copied = lm.copy(model="y")
    assert copied.launch_kwargs is lm.launch_kwargs, "Tunestack must replace it, not modify it"


def test_optimizers_have_the_methods_that_tunestack_overrides():
    stock = dspy.BootstrapFinetune
    assert get_parameter_names(stock.compile) == ["student", "trainset", "teacher"]
    assert get_parameter_names(stock._prepare_finetune_data) == ["trace_data", "lm", "pred_ind"]
    assert get_parameter_names(stock.finetune_lms) == ["finetune_dict"]
    assert get_parameter_names(stock.convert_to_lm_dict) == ["arg"]
    assert set(get_parameter_names(build_call_data_from_trace)) == {
        "trace",
        "pred_ind",
        "adapter",
        "exclude_demos",
    }
    assert get_parameter_names(infer_data_format) == ["adapter"]
    assert get_parameter_names(prepare_teacher) == ["student", "teacher"]
    arguments = {"program", "dataset", "metric", "num_threads", "raise_on_error"}
    assert arguments <= set(get_parameter_names(bootstrap_trace_data))
    assert FailedPrediction(completion_text="x").format_reward is None
    for fixed, original in (
        (BootstrapFinetune, dspy.BootstrapFinetune),
        (BetterTogether, dspy.BetterTogether),
    ):
        assert set(get_parameter_names(original.__init__)) <= {
            *get_parameter_names(fixed.__init__),
            "optimizers",
        }


@pytest.mark.parametrize(
    ("fixed", "original"),
    [(BootstrapFinetune, dspy.BootstrapFinetune), (BetterTogether, dspy.BetterTogether)],
)
def test_fixed_optimizer_works_as_a_step_of_another(fixed, original):
    """DSPy passes the arguments that the signature of `compile` has."""
    assert get_parameter_names(fixed.compile) == get_parameter_names(original.compile)
    assert fixed.compile.__doc__ != original.compile.__doc__


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_providers_are_dspy_providers(kind):
    assert isinstance(kind(), Provider)
    assert kind().finetunable
    assert not kind().reinforceable


class TestUpstream:
    """Bugs of DSPy's optimizers, which Tunestack's fix. If DSPy fixes one, remove the fix here."""

    class TwoPredictors(dspy.Module):
        def __init__(self):
            super().__init__()
            self.first = dspy.Predict("ticket -> topic")
            self.second = dspy.Predict(Desk)

    @pytest.fixture
    def run(self):
        """A program whose first predictor was called twice, and the trace."""
        program = self.TwoPredictors()
        program.set_lm(dspy.LM("openai/x"))
        topic, desk = dspy.Prediction(topic="t"), dspy.Prediction(desk="billing")
        trace = [
            (program.first, {"ticket": "a"}, topic),
            (program.first, {"ticket": "b"}, topic),
            (program.second, {"ticket": "c"}, desk),
        ]
        return program, {"trace": trace, "score": 1, "prediction": desk}

    def prepare(self, kind, program, traces, lm, index):
        optimizer = kind(metric=lambda *_: True)
        optimizer._student = program
        optimizer._known = list(enumerate(program.predictors()))
        rows, _ = optimizer._prepare_finetune_data(trace_data=traces, lm=lm, pred_ind=index)
        return sorted(row["messages"][-1]["content"].split(" ## ]]")[0] for row in rows)

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [(dspy.BootstrapFinetune, ["[[ ## topic"]), (BootstrapFinetune, ["[[ ## desk"])],
    )
    def test_index_selects_a_predictor_not_a_call(self, run, kind, expected):
        program, trace = run
        assert self.prepare(kind, program, [trace], program.second.lm, 1) == expected

    @pytest.mark.parametrize(
        ("kind", "count"), [(dspy.BootstrapFinetune, 3), (BootstrapFinetune, 2)]
    )
    def test_lm_is_fine_tuned_on_its_own_calls_only(self, run, kind, count):
        program, trace = run
        program.second.lm = dspy.LM("openai/y")
        rows = self.prepare(kind, program, [trace], program.first.lm, None)
        assert len(rows) == count

    def test_failed_prediction_in_a_trace_is_supported(self, run):
        program, trace = run
        predictor, inputs, _ = trace["trace"][0]
        failed = FailedPrediction(completion_text="nonsense", format_reward=-1)
        other = {"trace": [(predictor, inputs, failed)], "score": -1, "prediction": failed}
        with pytest.raises(AttributeError):
            self.prepare(dspy.BootstrapFinetune, program, [trace, other], program.first.lm, None)
        rows = self.prepare(BootstrapFinetune, program, [trace, other], program.first.lm, None)
        assert len(rows) == 3

    def test_lm_without_train_kwargs_is_accepted(self):
        named = {dspy.LM("openai/x"): {"n_epochs": 1}}
        with pytest.raises(KeyError):
            dspy.BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")]
        assert BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")] is None


def test_lm_can_be_found_through_the_thread_of_a_job():
    """DSPy passes only the model name to a provider; the credentials of the LM are read from the LM itself."""
    calls = []

    class RecordingProvider(Provider):
        def __init__(self):
            super().__init__()
            self.finetunable = True
            self.TrainingJob = self.record

        def record(self, thread, **_):
            calls.append((lm_of(thread), thread.daemon, thread.ident))
            thread.daemon = True
            return dspy.TrainingJob(thread=thread)

        @staticmethod
        def finetune(**_):
            return "x"

    lm = dspy.LM("bedrock/x", provider=RecordingProvider())
    job = lm.finetune([], None)
    assert calls == [(lm, False, None)], "the thread must not be started or a daemon yet"
    job.thread.join(10)
