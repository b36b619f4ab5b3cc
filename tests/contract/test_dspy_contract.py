"""The undocumented behavior of DSPy that the SDK relies on. A new version that changes it fails here."""

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
    assert names(Provider.launch) == names(Provider.kill) == ["lm", "launch_kwargs"]
    assert names(dspy.LM.launch) == names(dspy.LM.kill) == ["launch_kwargs"]
    assert {status.value for status in TrainingStatus} == {
        "not_started",
        "pending",
        "running",
        "succeeded",
        "failed",
        "cancelled",
    }
    assert (TrainDataFormat.CHAT.value, TrainDataFormat.COMPLETION.value) == ("chat", "completion")


def test_lm_sets_an_exception_as_the_result():
    """DSPy catches only `Exception`. The job and the providers handle the rest."""
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
    assert copied.launch_kwargs is lm.launch_kwargs, (
        "so it must be replaced, never changed in place"
    )


def test_signatures_that_the_fixed_optimizers_rely_on():
    upstream = dspy.BootstrapFinetune
    assert names(upstream.compile) == ["student", "trainset", "teacher"]
    assert names(upstream._prepare_finetune_data) == ["trace_data", "lm", "pred_ind"]
    assert names(upstream.finetune_lms) == ["finetune_dict"]
    assert names(upstream.convert_to_lm_dict) == ["arg"]
    assert set(names(build_call_data_from_trace)) == {
        "trace",
        "pred_ind",
        "adapter",
        "exclude_demos",
    }
    assert names(infer_data_format) == ["adapter"]
    assert names(prepare_teacher) == ["student", "teacher"]
    parameters = {"program", "dataset", "metric", "num_threads", "raise_on_error"}
    assert parameters <= set(names(bootstrap_trace_data))
    assert FailedPrediction(completion_text="x").format_reward is None
    for fixed, original in (
        (BootstrapFinetune, dspy.BootstrapFinetune),
        (BetterTogether, dspy.BetterTogether),
    ):
        assert set(names(original.__init__)) <= {*names(fixed.__init__), "optimizers"}


@pytest.mark.parametrize(
    ("fixed", "original"),
    [(BootstrapFinetune, dspy.BootstrapFinetune), (BetterTogether, dspy.BetterTogether)],
)
def test_fixed_optimizer_has_the_signature_of_the_original(fixed, original):
    """DSPy passes the arguments in the signature of `compile`."""
    assert names(original.compile) == names(fixed.compile)
    assert original.compile.__doc__ != fixed.compile.__doc__


@pytest.mark.parametrize("kind", [BedrockProvider, OpenAIProvider])
def test_providers_are_providers_of_dspy(kind):
    assert isinstance(kind(), Provider)
    assert kind().finetunable
    assert not kind().reinforceable


class TestUpstream:
    """Bugs in DSPy's own classes. If one of these tests fails, the fix here can be removed."""

    class Twice(dspy.Module):
        def __init__(self):
            super().__init__()
            self.first = dspy.Predict("ticket -> topic")
            self.second = dspy.Predict(Desk)

    @pytest.fixture
    def run(self):
        """A program whose first predictor was called twice, and its run."""
        program = self.Twice()
        program.set_lm(dspy.LM("openai/x"))
        topic, desk = dspy.Prediction(topic="t"), dspy.Prediction(desk="billing")
        trace = [
            (program.first, {"ticket": "a"}, topic),
            (program.first, {"ticket": "b"}, topic),
            (program.second, {"ticket": "c"}, desk),
        ]
        return program, {"trace": trace, "score": 1, "prediction": desk}

    def prepare(self, kind, program, runs, lm, place):
        optimizer = kind(metric=lambda *_: True)
        optimizer._student = program
        optimizer._known_predictors = list(enumerate(program.predictors()))
        rows, _ = optimizer._prepare_finetune_data(trace_data=runs, lm=lm, pred_ind=place)
        return sorted(row["messages"][-1]["content"].split(" ## ]]")[0] for row in rows)

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [(dspy.BootstrapFinetune, ["[[ ## topic"]), (BootstrapFinetune, ["[[ ## desk"])],
    )
    def test_dspy_uses_the_index_in_the_trace_as_the_predictor(self, run, kind, expected):
        program, trace_run = run
        assert self.prepare(kind, program, [trace_run], program.second.lm, 1) == expected

    @pytest.mark.parametrize(
        ("kind", "count"), [(dspy.BootstrapFinetune, 3), (BootstrapFinetune, 2)]
    )
    def test_dspy_trains_each_lm_on_all_records(self, run, kind, count):
        program, trace_run = run
        program.second.lm = dspy.LM("openai/y")
        assert len(self.prepare(kind, program, [trace_run], program.first.lm, None)) == count

    def test_dspy_does_not_skip_failed_answers(self, run):
        program, trace_run = run
        predictor, inputs, _ = trace_run["trace"][0]
        failed = FailedPrediction(completion_text="nonsense", format_reward=-1)
        other = {"trace": [(predictor, inputs, failed)], "score": -1, "prediction": failed}
        with pytest.raises(AttributeError):
            self.prepare(
                dspy.BootstrapFinetune, program, [trace_run, other], program.first.lm, None
            )
        assert (
            len(
                self.prepare(BootstrapFinetune, program, [trace_run, other], program.first.lm, None)
            )
            == 3
        )

    def test_dspy_raises_key_error_for_an_lm_without_settings(self):
        named = {dspy.LM("openai/x"): {"n_epochs": 1}}
        with pytest.raises(KeyError):
            dspy.BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")]
        assert BootstrapFinetune(train_kwargs=named).train_kwargs[dspy.LM("openai/y")] is None


def test_thread_of_a_job_refers_to_the_lm():
    """DSPy passes only the model's name to a provider. The credentials of the LM are read from the LM."""
    calls = []

    class RecordingProvider(Provider):
        def __init__(self):
            super().__init__()
            self.finetunable = True
            self.TrainingJob = self.create_job

        def create_job(self, thread, **_):
            calls.append((lm_of_thread(thread), thread.daemon, thread.ident))
            thread.daemon = True
            return dspy.TrainingJob(thread=thread)

        @staticmethod
        def finetune(**_):
            return "x"

    lm = dspy.LM("bedrock/x", provider=RecordingProvider())
    job = lm.finetune([], None)
    assert calls == [(lm, False, None)], "the thread is not started yet, and can be made a daemon"
    job.thread.join(10)
