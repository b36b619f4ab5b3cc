"""OpenAIProvider with DSPy's own LM and litellm, in the sandbox."""

import copy
import dataclasses
import pickle
from contextlib import suppress

import dspy
import openai
import pytest

from tests.sdk.desks import (
    GPT,
    IGNORED_WARNINGS,
    Desk,
    endpoint_names,
    ticket_program,
)
from tunestack import Poll, Tuner
from tunestack.dspy import (
    BedrockProvider,
    OpenAIProvider,
    attach,
)
from tunestack.errors import AccessError, ConfigError, DataError, JobError, JobTimeoutError

pytestmark = IGNORED_WARNINGS


class TestOpenAIProvider:
    def test_bedrock_and_openai_differ_only_in_model_and_provider(self, tuner, chat):
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
            fine_tuned = job.result(timeout=60)
            assert job.status() == "succeeded"
            assert job.start_endpoint()
            assert fine_tuned("What is number 7?") == ["It is 7."]
            job.stop_endpoint()
        assert endpoint_names(tuner) == []

    def test_api_key_of_the_provider_is_used(self, chat, poll, tuner):
        provider = OpenAIProvider(api_key="sk-mine", poll=poll)
        lm = provider.lm(GPT, cache=False)
        job = lm.finetune(chat, "chat", {})
        fine_tuned = job.result(timeout=60)
        assert fine_tuned("What is number 7?") == ["It is 7."]
        assert list(tuner.jobs(provider="openai")) == []
        assert len(list(openai.OpenAI(api_key="sk-mine").fine_tuning.jobs.list())) == 1
        with pytest.raises(ConfigError, match="not both"):
            OpenAIProvider(api_key="sk-mine", openai=openai.OpenAI())

    def test_error_of_a_failed_job_has_the_message_of_openai(self, tuner, chat, sandbox):
        sandbox.faults.add("internal-failure", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        with pytest.raises(JobError, match="internal error"):
            job.result(timeout=60)
        assert job.status() == "failed"

    def test_cancel_during_submit_leaves_no_job_running(self, tuner, chat):
        from tunestack.dspy import TuningJob

        job = TuningJob(model=GPT, train_data=chat, train_data_format="chat", train_kwargs={})

        def cancel_before_last_row():
            yield from chat[:-1]
            assert job.cancel() is True
            yield chat[-1]

        job.train_data = cancel_before_last_row()
        dspy.LM(GPT, provider=OpenAIProvider(tuner))._run_finetune_job(job)
        assert job.status() == "cancelled"
        assert [one.info.state.value for one in tuner.jobs(provider="openai")] == ["stopped"]

    def test_repeated_server_errors_lose_no_job(self, tuner, chat, sandbox, monkeypatch):
        """DSPy's own provider treats a 5xx as a missing job, and loses a job that succeeds."""
        monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)
        sandbox.faults.add("error", operation="retrieveFineTuningJob", times=30)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner), cache=False).finetune(chat, "chat", {})
        assert job.result(timeout=60)("What is number 7?") == ["It is 7."]

    def test_lost_response_creates_no_second_job(self, tuner, chat, sandbox):
        sandbox.faults.add("lost-reply", operation="createFineTuningJob", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        assert [one.id for one in tuner.jobs(provider="openai")] == [job.job.id]

    def test_cancel_of_a_running_and_of_an_ended_job(self, tuner, chat, sandbox):
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

    def test_error_of_a_rejected_cancel_notes_that_the_job_may_go_on(self, tuner, chat, sandbox):
        sandbox.faults.add("stall", phase="training", times=1)
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        while not (job.job and job.job.info.state == "running"):
            job.thread.join(0.01)
        sandbox.faults.add("error", operation="cancelFineTuningJob", code="invalid_api_key")
        with suppress(AccessError):
            job.cancel()
        with pytest.raises(AccessError) as caught:
            job.result(timeout=60)
        assert list(caught.value.__notes__) == [
            f"job {job.job.id} could not be cancelled, and may go on and be billed"
        ]
        sandbox.faults.clear()
        assert job.cancel() is True
        assert job.status() == "cancelled"

    def test_finished_job_is_not_waited_for(self, chat, sandbox):
        """DSPy's own provider polls every twenty seconds, and first after twenty."""
        pauses = []

        def sleep(seconds):
            pauses.append(seconds)
            sandbox.clock.advance(seconds)

        poll = Poll(sleep=sleep, clock=sandbox.clock.monotonic)
        tuner = Tuner(poll=poll)
        tuner.submit(GPT, chat).wait()
        pauses.clear()
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        assert pauses == []

    def test_nothing_is_written_to_stdout(self, tuner, chat, capsys):
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        job.result(timeout=60)
        job.status()
        assert capsys.readouterr().out == ""

    def test_provider_is_pickled_with_its_server_but_not_its_key(self, sandbox):
        provider = OpenAIProvider(api_key="sk-secret-of-mine", base_url="http://127.0.0.1:9/v1")
        saved = pickle.dumps(provider)
        assert b"sk-secret" not in saved
        loaded = pickle.loads(saved)
        assert loaded.finetunable
        assert (
            str(loaded._tuner._accounts.openai._connected_client.base_url)
            == "http://127.0.0.1:9/v1/"
        )
        assert copy.copy(provider) is provider

    def test_lm_uses_the_server_of_its_provider(self, tmp_path, sandbox):
        client = openai.OpenAI(api_key="sk-mine", base_url="http://127.0.0.1:9/v1")
        made = OpenAIProvider(Tuner(openai=client))
        loaded = pickle.loads(pickle.dumps(made))
        lm = made.lm(GPT, temperature=0.5)
        assert (
            lm.kwargs["api_key"],
            lm.kwargs["api_base"],
        ) == ("sk-mine", "http://127.0.0.1:9/v1/")
        assert loaded.lm(GPT).kwargs["api_base"] == "http://127.0.0.1:9/v1/"
        assert loaded.lm(GPT).kwargs["api_key"] != "sk-mine"
        assert "api_base" not in OpenAIProvider().lm(GPT).kwargs
        ticket_program(lm).save(tmp_path / "program.json")
        other = dspy.Predict(Desk)
        other.load(tmp_path / "program.json")
        assert "api_base" not in other.lm.kwargs, "DSPy does not save it"
        attach(other, made)
        assert other.lm.kwargs["api_base"] == "http://127.0.0.1:9/v1/"

    def test_failed_status_request_does_not_end_the_job(self, tuner, chat, sandbox, monkeypatch):
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

    def test_succeeded_job_without_a_model_raises_job_error(self, tuner, chat, monkeypatch):
        provider = tuner._accounts.openai.backend()
        look = provider.job
        monkeypatch.setattr(
            provider, "job", lambda name: dataclasses.replace(look(name), model=None)
        )
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune(chat, "chat", {})
        with pytest.raises(JobError, match="the provider returned no model"):
            job.result(timeout=60)

    def test_invalid_data_is_rejected_before_the_upload(self, tuner):
        job = dspy.LM(GPT, provider=OpenAIProvider(tuner)).finetune([{"nonsense": 1}], "chat", {})
        with pytest.raises(DataError):
            job.result(timeout=60)
        assert list(openai.OpenAI().files.list()) == []


def test_provider_creates_its_tuner_from_settings(poll):
    provider = BedrockProvider(region="us-west-2")
    assert isinstance(provider._tuner, Tuner)
