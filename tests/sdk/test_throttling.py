"""Small request quotas of on-demand custom models: the error says what to do, and DSPy's optimizers use fewer threads."""

import threading

import dspy
import pytest

from tests.sdk.desks import IGNORED_WARNINGS, NOVA, TRAIN, Desk
from tunestack.dspy import BedrockProvider, BootstrapFinetune
from tunestack.errors import BusyError, DataError

pytestmark = IGNORED_WARNINGS


def test_error_of_a_throttled_on_demand_endpoint_says_what_to_do(job, inject_error):
    endpoint = job.start_endpoint()
    inject_error("Converse", "ThrottlingException", times=20)
    with pytest.raises(BusyError) as raised:
        endpoint.invoke("What is number 7?")
    assert raised.value.code == "ThrottlingException"
    message = str(raised.value)
    assert "send one request at a time" in message
    assert "'On-demand custom model deployment requests per minute' in Service Quotas" in message


def test_other_errors_and_endpoints_have_no_advice_about_this_quota(job, llama, inject_error):
    endpoint = job.start_endpoint()
    inject_error("Converse", "ServiceUnavailableException", times=20)
    with pytest.raises(BusyError) as raised:
        endpoint.invoke("What is number 7?")
    assert "requests per minute" not in str(raised.value)
    endpoint = llama.start_endpoint()
    inject_error("InvokeModel", "ThrottlingException", times=20)
    with pytest.raises(BusyError) as raised:
        endpoint.invoke("What is number 7?")
    assert "requests per minute" not in str(raised.value)


class Meeting(dspy.Module):
    """Waits in each new thread until a number of threads call it."""

    def __init__(self, count):
        super().__init__()
        self.desk = dspy.Predict(Desk)
        self.threads = set()
        self.barrier = threading.Barrier(count)

    def forward(self, ticket):
        if threading.get_ident() not in self.threads:
            self.threads.add(threading.get_ident())
            self.barrier.wait(timeout=30)
        return self.desk(ticket=ticket)


@pytest.fixture
def count_threads(tuner):
    """Return a function that calls a teacher in an optimizer, and returns the number of its threads."""

    def count(model, expected, num_threads=None):
        student, teacher = Meeting(1), Meeting(expected)
        student.set_lm(dspy.LM(NOVA, provider=BedrockProvider(tuner), cache=False))
        teacher.set_lm(dspy.LM(model, cache=False))
        optimizer = BootstrapFinetune(metric=lambda *_: False, num_threads=num_threads)
        with pytest.raises(DataError, match="no record"):
            optimizer.compile(student, trainset=TRAIN[:16], teacher=teacher)
        return len(teacher.threads)

    return count


def test_optimizer_calls_an_on_demand_model_with_few_threads(job, count_threads):
    model = f"bedrock/converse/{job.start_endpoint().id}"
    assert count_threads(model, 2) == 2
    assert count_threads(model, 4, num_threads=4) == 4
    with dspy.context(num_threads=1):
        assert count_threads(model, 1) == 1


def test_optimizer_calls_a_base_model_with_the_threads_of_dspy(count_threads):
    assert count_threads(NOVA, 8) == 8
