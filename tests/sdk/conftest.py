"""LMs that are tuned from DSPy, at either provider; and what is sent to OpenAI."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime

import dspy
import pytest

from tests.day import AS_OF
from tests.sdk.desks import GPT, NOVA
from tunestack.dspy import BedrockProvider, OpenAIProvider
from tunestack_sandbox.openai.files import parse_form


@pytest.fixture(autouse=True)
def _date_of_estimates(monkeypatch):
    """Estimates, which ask no service for the time, look up the models of the sandbox's day."""
    monkeypatch.setattr("tunestack._utils.clock.today", AS_OF.date)


@pytest.fixture(params=["bedrock", "openai"])
def provider(request):
    return request.param


@pytest.fixture
def lm(provider, tuner):
    model, dspy_provider = (
        (NOVA, BedrockProvider(tuner)) if provider == "bedrock" else (GPT, OpenAIProvider(tuner))
    )
    return dspy.LM(model, provider=dspy_provider, cache=False)


@pytest.fixture
def configured(lm):
    with dspy.context(lm=lm):
        yield lm


@pytest.fixture
def today(sandbox):
    """The sandbox's clock shows what this machine's does."""
    sandbox.clock.advance((datetime.now(UTC) - sandbox.clock.now()).total_seconds())


@pytest.fixture
def no_pauses(monkeypatch):
    """Tries that the openai package makes again pause on the wall's clock."""
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)


@pytest.fixture
def intercepted(sandbox):
    """Let something else answer requests to OpenAI, or happen before them."""
    with ExitStack() as stack:
        yield lambda handle: stack.enter_context(sandbox.intercept(handle))


@pytest.fixture
def wire(intercepted):
    """What is asked of OpenAI: method, path and body."""
    seen = []

    def look(request):
        if request.target.startswith("/v1/"):
            kind = request.headers.get("Content-Type", "")
            if kind.startswith("multipart"):
                fields, files = parse_form(request.body, kind)
                body = fields | {name: file[0] for name, file in files.items()}
            else:
                body = json.loads(request.body or b"null")
            seen.append((request.method, request.target.removeprefix("/v1"), body))

    intercepted(look)
    return seen
