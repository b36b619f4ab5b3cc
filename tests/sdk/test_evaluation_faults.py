"""Evaluations that are throttled, interrupted, refused or out of budget."""

import _thread
import threading
from collections import Counter

import pytest

from tests.waiting import wait_until
from tunestack import Tuner
from tunestack.backends.base import EndpointState
from tunestack.errors import AccessError, ConfigError, CostError, EndpointTimeoutError
from tunestack_sandbox.messages import ServiceError


@pytest.fixture
def asked(sandbox):
    """Count the requests for each question, those that were answered."""
    counts: Counter = Counter()

    def count(call, handler):
        result = handler(call)
        if call.operation.name == "Converse":
            counts[call.params["messages"][-1]["content"][0]["text"]] += 1
        return result

    with sandbox.intercept_operations(count):
        yield counts


# With a rate of 0.8, one evaluation of a hundred would be throttled for half an hour, and be given up.
@pytest.mark.parametrize(("rate", "workers"), [(0.5, 8), (0.7, 1)])
def test_throttled_evaluation_completes(
    job, chat, tmp_path, sandbox, retry_at_once, rate, workers, asked
):
    job.start_endpoint()
    sandbox.faults.add("throttle", operation="Converse", rate=rate)
    evaluation = job.evaluate(chat, against=["base"], cache=tmp_path, workers=workers)
    sandbox.faults.clear()
    assert evaluation.is_complete
    assert evaluation.models[0].values["exact_match"] == 1
    assert set(asked.values()) == {2}, "each model answered each question once"
    job.stop_endpoint()


def test_model_that_is_always_throttled_is_given_up(job, chat, tmp_path, sandbox, retry_at_once):
    sandbox.faults.add("throttle", operation="Converse")
    with pytest.raises(Exception, match="Too many requests"):
        Tuner(poll=job._poll).evaluate(chat, "nova-micro", cache=tmp_path)
    sandbox.faults.clear()


def test_requests_keep_the_quota(tuner, chat, tmp_path, sandbox):
    start = sandbox.clock.monotonic()
    # One worker: the pauses of several add up on the sandbox's clock.
    tuner.evaluate(chat, "nova-micro", cache=tmp_path, requests_per_minute=4, workers=1)
    minutes = (sandbox.clock.monotonic() - start) / 60
    assert minutes == pytest.approx(19 / 4, rel=0.1)


def test_evaluation_stops_before_max_cost_and_goes_on_with_more(tuner, chat, tmp_path, asked):
    arguments = {"cache": tmp_path, "prices": {"model": (1000.0, 1000.0)}, "max_tokens": 100}
    with pytest.raises(CostError, match=r"max_cost \$0.01 is not enough for one record"):
        tuner.evaluate(chat, "nova-micro", max_cost=0.01, **arguments)
    assert not asked
    part = tuner.evaluate(
        chat, "nova-micro", max_cost=0.3, workers=1, require=["errors<=0"], **arguments
    )
    assert 0 < part.records < part.total == 20
    assert part.cost <= 0.3
    assert part.notes[0].startswith(f"stopped at max_cost: {part.records} of 20 records")
    assert not part.passed
    assert part.gates[0].detail == "not all records were answered"
    whole = tuner.evaluate(chat, "nova-micro", max_cost=10, **arguments)
    assert whole.is_complete
    assert set(asked.values()) == {1}


def test_endpoint_that_was_started_is_stopped(job, chat, tmp_path, tuner):
    evaluation = job.evaluate(chat, cache=tmp_path, start_endpoint=True)
    assert evaluation.models[0].values["exact_match"] == 1
    assert list(tuner.endpoints()) == []


def test_endpoint_that_existed_is_kept(job, chat, tmp_path, tuner):
    name = job.start_endpoint().name
    job.evaluate(chat, cache=tmp_path, start_endpoint=True)
    assert [endpoint.name for endpoint in tuner.endpoints()] == [name]
    job.stop_endpoint()


def test_endpoint_that_another_caller_starts_is_used_and_kept(job, chat, tmp_path, tuner):
    with pytest.raises(EndpointTimeoutError):
        job.start_endpoint(timeout=0)
    evaluation = job.evaluate(chat, cache=tmp_path, start_endpoint=True)
    assert evaluation.is_complete
    assert [endpoint.state for endpoint in tuner.endpoints()] == [EndpointState.READY]
    job.stop_endpoint()


def test_endpoint_that_can_not_be_stopped_does_not_keep_the_others(
    job, chat, tmp_path, tuner, inject_error
):
    other = tuner.submit("nova-micro", chat[:-1]).wait()
    inject_error("DeleteCustomModelDeployment", "AccessDeniedException", times=1)
    with pytest.raises(AccessError):
        job.evaluate(chat, against=[other.model], cache=tmp_path, start_endpoint=True)
    (left,) = tuner.endpoints()
    left.stop()


def test_endpoint_is_stopped_after_an_error(job, chat, tmp_path, tuner, inject_error):
    inject_error("Converse", "AccessDeniedException")
    with pytest.raises(AccessError):
        job.evaluate(chat, cache=tmp_path, start_endpoint=True)
    assert list(tuner.endpoints()) == []


def test_endpoint_is_stopped_after_an_interrupt(job, chat, tmp_path, tuner, sandbox):
    answered = []

    def interrupt(call, handler):
        if call.operation.name == "Converse":
            answered.append(call)
            if len(answered) == 5:
                _thread.interrupt_main()
        return handler(call)

    with sandbox.intercept_operations(interrupt), pytest.raises(KeyboardInterrupt):
        job.evaluate(chat * 10, cache=tmp_path, start_endpoint=True, workers=1)
    assert list(tuner.endpoints()) == []


def test_endpoint_is_stopped_after_an_interrupt_while_it_starts(
    job, chat, tmp_path, tuner, sandbox
):
    created = []

    def note(call, handler):
        result = handler(call)
        if call.operation.name == "CreateCustomModelDeployment":
            created.append(call)
            _thread.interrupt_main()
        return result

    with sandbox.intercept_operations(note), pytest.raises(KeyboardInterrupt):
        job.evaluate(chat, cache=tmp_path, start_endpoint=True)
    assert len(created) == 1
    assert list(tuner.endpoints()) == []


def has_threads():
    return any(thread.name == "tunestack-evaluation" for thread in threading.enumerate())


def test_no_request_is_sent_after_an_interrupt(chat, tmp_path, sandbox):
    """The other workers wait for half a minute and more when the evaluation is interrupted."""
    sent = []

    def interrupt(call, handler):
        if call.operation.name == "Converse":
            sent.append(call)
            if len(sent) == 1:  # another interrupt could arrive after the evaluation
                _thread.interrupt_main()
        return handler(call)

    with sandbox.intercept_operations(interrupt), pytest.raises(KeyboardInterrupt):
        Tuner().evaluate(chat, "nova-micro", cache=tmp_path, requests_per_minute=2, workers=4)
    # A thread that was about to start ends a moment later.
    assert wait_until(lambda: not has_threads(), 10)
    assert len(sent) == 1


def test_interrupt_while_threads_start_stops_them(chat, tmp_path, sandbox, monkeypatch):
    """As on a busy machine, where the first thread sends its request before the others have started."""
    start, started, sent = threading.Thread.start, [], []

    def interrupt(thread):
        start(thread)
        if thread.name == "tunestack-evaluation":
            started.append(thread)
            if len(started) == 3:
                raise KeyboardInterrupt

    def note(call, handler):
        if call.operation.name == "Converse":
            sent.append(call)
        return handler(call)

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    with sandbox.intercept_operations(note), pytest.raises(KeyboardInterrupt):
        Tuner().evaluate(chat, "nova-micro", cache=tmp_path, requests_per_minute=2, workers=4)
    assert len(started) == 3
    assert not [thread for thread in started if thread.is_alive()]
    assert len(sent) <= 1


def test_judge_without_enough_budget_passes_no_condition(tuner, chat, tmp_path):
    evaluation = tuner.evaluate(
        chat,
        "nova-micro",
        against=["nova-lite"],
        judge="nova-pro",
        require=["judge>=0"],
        prices={"model": (0, 0), "nova-lite": (0, 0), "judge": (1000, 1000)},
        max_tokens=100,
        max_cost=1,
        workers=1,
        cache=tmp_path,
    )
    assert evaluation.is_complete
    assert evaluation.comparisons[-1].metric == "judge"
    assert not evaluation.passed


def test_model_on_provisioned_throughput_has_no_price_of_tokens(job, chat, tmp_path):
    with pytest.warns(match="billed by the hour"):
        job.start_endpoint("provisioned")
    prices = {"base": (1.0, 1.0)}
    evaluation = job.evaluate(chat, against=["base"], prices=prices, cache=tmp_path)
    assert evaluation.model("model").cost_per_1000 is None
    assert evaluation.model("base").cost_per_1000 > 0
    job.stop_endpoint()


def test_record_that_the_provider_refuses_counts_as_wrong(job, chat, tmp_path, sandbox):
    def refuse(call, handler):
        if call.operation.name == "Converse" and "number 3?" in str(call.params["messages"]):
            raise ServiceError("ValidationException", "The input is too long.")
        return handler(call)

    job.start_endpoint()
    with sandbox.intercept_operations(refuse):
        evaluation = job.evaluate(chat, cache=tmp_path, require=["errors<=0"])
    assert evaluation.models[0].errors == 1
    assert evaluation.models[0].values["exact_match"] == 0.95
    assert not evaluation.passed
    assert "too long" in next(row["error"] for row in evaluation.rows if row["error"])
    again = job.evaluate(chat, cache=tmp_path)
    assert again.models[0].values["exact_match"] == 1, "a refusal is not stored"
    job.stop_endpoint()


def test_hourly_price_counts_for_max_cost(west, completions, tmp_path):
    job = west.submit("llama-3-1-70b", completions).wait()
    with pytest.raises(
        CostError, match=r"costs \$24.\d\d an hour, which max_cost 10 does not allow"
    ):
        job.evaluate(completions, cache=tmp_path, start_endpoint=True, max_cost=10)
    assert list(west.endpoints()) == []
    with pytest.warns(match="billed by the hour"):
        evaluation = job.evaluate(
            completions[:5], cache=tmp_path, start_endpoint=True, max_cost=50, by="prompt"
        )
    assert 24 <= evaluation.cost < 50


def test_cache_that_is_not_a_folder_is_an_error(tuner, chat, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be used"):
        tuner.evaluate(chat, "nova-micro", cache=tmp_path / "file")
