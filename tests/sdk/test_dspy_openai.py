"""Tuning at OpenAI from DSPy."""

import copy
import dataclasses
import pickle
from contextlib import suppress

import dspy
import openai
import pytest

from tests.sdk.desks import (
    GPT,
    QUIET,
    Desk,
    left,
    program,
)
from tunestack import Poll, Tuner
from tunestack.dspy import (
    BedrockProvider,
    OpenAIProvider,
    attach,
)
from tunestack.errors import AccessError, ConfigError, DataError, JobError, JobTimeoutError

pytestmark = QUIET


class TestOpenAI:
    def test_the_specifications_example_differs_only_in_model_and_provider(self, tuner, chat):
        for model, provider in (
            ("openai/gpt-4o-mini-2024-07-18", OpenAIProvider(tuner)),
            ("bedrock/amazon.nova-micro-v1:0", BedrockProvider(tuner)),
        ):
            lm = dspy.LM(model=model, provider=provider, cache=False)
            job = lm.finetune(
                train_data=chat,
                train_data_format="chat",
                train_kwargs={"epochCount": 3, "batchSize": 1},
            )
            tuned = job.result(timeout=60)
            assert job.status() == "succeeded"
            assert job.start_endpoint()
            assert ["It is 7."] == tuned("What is number 7?")
            job.stop_endpoint()
        assert [] == left(tuner)

    def test_it_tunes_by_the_key_that_it_is_given(self, chat, poll, tuner):
        provider = OpenAIProvider(api_key="sk-mine", poll=poll)
        lm = provider.lm(GPT, cache=False)
        job = lm.finetune(chat, "chat", {})
        tuned = job.result(timeout=60)
        assert ["It is 7."] == tuned("What is number 7?")
        assert [] == list(tuner.jobs(provider="openai"))
        assert 1 == len(list(openai.OpenAI(api_key="sk-mine").fine_tuning.jobs.list()))
        with pytest.raises(ConfigError, match="not both"):
            OpenAIProvider(api_key="sk-mine", openai=openai.OpenAI())

    def test_a_job_that_fails_is_raised_with_openais_words(self, tuner, chat, sandbox):
        sandbox.faults.add("internal-failure", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        with pytest.raises(JobError, match="internal error"):
            job.result(timeout=60)
        assert job.status() == "failed"

    def test_a_cancel_before_the_id_is_known_leaves_no_job_running(self, tuner, chat):
        from tunestack.dspy import TuningJob

        job = TuningJob(model=GPT, train_data=chat, train_data_format="chat", train_kwargs={})

        def cancelled():
            yield from chat[:-1]
            assert job.cancel() is True
            yield chat[-1]

        job.train_data = cancelled()
        dspy.LM(GPT, provider=OpenAIProvider(tuner))._run_finetune_job(job)
        assert job.status() == "cancelled"
        assert ["stopped"] == [one.info.state.value for one in tuner.jobs(provider="openai")]

    def test_a_storm_of_errors_loses_no_job(self, tuner, chat, sandbox, monkeypatch):
        """DSPy's own takes a 5xx for a job that is not there, and loses one that succeeds."""
        monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)
        sandbox.faults.add("error", operation="retrieveFineTuningJob", times=30)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner), cache=False).finetune(chat, "chat", {})
        assert ["It is 7."] == job.result(timeout=60)("What is number 7?")

    def test_a_lost_reply_makes_no_second_job(self, tuner, chat, sandbox):
        sandbox.faults.add("lost-reply", operation="createFineTuningJob", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        assert [job.job.id] == [one.id for one in tuner.jobs(provider="openai")]

    def test_a_cancel_while_it_runs_and_after_it_has_ended(self, tuner, chat, sandbox):
        sandbox.faults.add("stall", phase="training", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        while not (job.job and job.job.info.state == "running"):
            job.thread.join(0.01)
        assert job.cancel() is True
        with pytest.raises(JobError, match="was stopped"):
            job.result(timeout=60)
        assert job.status() == "cancelled"
        assert job.cancel() is False
        job.thread.join(10)
        assert not job.thread.is_alive()

    def test_a_cancel_that_is_refused_says_that_the_job_may_go_on(self, tuner, chat, sandbox):
        sandbox.faults.add("stall", phase="training", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        while not (job.job and job.job.info.state == "running"):
            job.thread.join(0.01)
        sandbox.faults.add("error", operation="cancelFineTuningJob", code="invalid_api_key")
        with suppress(AccessError):
            job.cancel()
        with pytest.raises(AccessError) as caught:
            job.result(timeout=60)
        assert [f"job {job.job.id} was to be cancelled, and may go on and be billed"] == list(
            caught.value.__notes__
        )
        sandbox.faults.clear()
        assert job.cancel() is True
        assert job.status() == "cancelled"

    def test_what_is_done_at_once_is_not_waited_for(self, chat, sandbox):
        """DSPy's own looks every twenty seconds, and first after twenty."""
        pauses = []
        poll = Poll(
            sleep=lambda seconds: (pauses.append(seconds), sandbox.clock.advance(seconds)),
            clock=sandbox.clock.monotonic,
        )
        tuner = Tuner(poll=poll)
        tuner.submit(GPT, chat).wait()
        pauses.clear()
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        assert [] == pauses

    def test_it_writes_nothing_to_standard_output(self, tuner, chat, capsys):
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        job.status()
        assert "" == capsys.readouterr().out

    def test_a_provider_is_saved_without_its_key_and_with_its_server(self, sandbox):
        provider = OpenAIProvider(api_key="sk-secret-of-mine", base_url="http://127.0.0.1:9/v1")
        saved = pickle.dumps(provider)
        assert b"sk-secret" not in saved
        loaded = pickle.loads(saved)
        assert loaded.finetunable
        assert "http://127.0.0.1:9/v1/" == str(
            loaded._tuner._accounts.openai._connected_client.base_url
        )
        assert copy.copy(provider) is provider

    def test_an_lm_asks_the_server_that_it_is_tuned_at(self, tmp_path, sandbox):
        client = openai.OpenAI(api_key="sk-mine", base_url="http://127.0.0.1:9/v1")
        made = OpenAIProvider(Tuner(openai=client))
        loaded = pickle.loads(pickle.dumps(made))
        lm = made.lm(GPT, temperature=0.5)
        assert ("sk-mine", "http://127.0.0.1:9/v1/") == (
            lm.kwargs["api_key"],
            lm.kwargs["api_base"],
        )
        assert "http://127.0.0.1:9/v1/" == loaded.lm(GPT).kwargs["api_base"]
        assert "sk-mine" != loaded.lm(GPT).kwargs["api_key"]
        assert "api_base" not in OpenAIProvider().lm(GPT).kwargs
        program(lm).save(tmp_path / "program.json")
        other = dspy.Predict(Desk)
        other.load(tmp_path / "program.json")
        assert "api_base" not in other.lm.kwargs, "DSPy saves none"
        attach(other, made)
        assert "http://127.0.0.1:9/v1/" == other.lm.kwargs["api_base"]

    def test_a_look_that_fails_is_no_end(self, tuner, chat, sandbox, monkeypatch):
        monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)
        sandbox.faults.add("stall", phase="training", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {"timeout": 1800})
        with pytest.raises(JobTimeoutError):
            job.result(timeout=60)
        sandbox.faults.add("error", operation="retrieveFineTuningJob", code="server_error")
        assert job.status() == "running"
        sandbox.faults.clear()
        assert job.cancel() is True
        assert job.status() == "cancelled"

    def test_a_job_without_a_model_is_no_success(self, tuner, chat, monkeypatch):
        provider = tuner._accounts.openai.backend()
        look = provider.job
        monkeypatch.setattr(
            provider, "job", lambda name: dataclasses.replace(look(name), model=None)
        )
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        with pytest.raises(JobError, match="the vendor names no model"):
            job.result(timeout=60)

    def test_data_that_openai_would_refuse_is_refused_first(self, tuner):
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune([{"nonsense": 1}], "chat", {})
        with pytest.raises(DataError):
            job.result(timeout=60)
        assert [] == list(openai.OpenAI().files.list())


def test_a_tuner_is_made_of_what_is_said(poll):
    provider = BedrockProvider(region="us-west-2")
    assert isinstance(provider._tuner, Tuner)
