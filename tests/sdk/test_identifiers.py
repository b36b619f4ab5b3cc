"""Every method with an identifier rejects identifiers of other kinds and invalid values, and names the expected kind."""

import inspect

import pytest

from tests.parameters import every
from tunestack import Tuner
from tunestack.errors import ConfigError, NotFoundError, TunestackError, shortened

ACCOUNT = "123456789012"
BASE = "amazon.nova-micro-v1:0"


def arn(resource, *, partition="aws", region="us-east-1", account=ACCOUNT):
    return f"arn:{partition}:bedrock:{region}:{account}:{resource}"


def job_arn(**parts):
    return arn(f"model-customization-job/{BASE}:128k/0123456789ab", **parts)


def model_arn(**parts):
    return arn(f"custom-model/{BASE}:128k/0123456789ab", **parts)


JOBS = {"job": job_arn(), "job in China": job_arn(partition="aws-cn", region="cn-north-1")}
MODELS = {
    "model": model_arn(),
    "model in GovCloud": model_arn(partition="aws-us-gov", region="us-gov-west-1"),
    "model behind a route": f"bedrock/converse/{model_arn()}",
}
ENDPOINTS = {
    "deployment": arn("custom-model-deployment/0123456789ab"),
    "provisioned throughput": arn("provisioned-model/0123456789ab"),
    "endpoint behind a route": f"bedrock/converse/{arn('provisioned-model/0123456789ab')}",
}
BASES = {
    "base model": "nova-micro",
    "base model's id": BASE,
    "DSPy's name of a base model": f"bedrock/us.{BASE}",
    "base model's ARN": arn(f"foundation-model/{BASE}", account=""),
    "base model's profile": arn(f"inference-profile/us.{BASE}"),
    "OpenAI's base model": "gpt-4o-mini",
}
NAMES = {"name": "some-name"}
OPENAI_JOBS = {"OpenAI's job": "ftjob-0123456789"}
OPENAI_MODELS = {"OpenAI's model": "ft:gpt-4o-mini-2024-07-18:me::0123"}
INVALID = {
    "empty": "",
    "space": " ",
    "slash": "/",
    "route alone": "bedrock/",
    "OpenAI's prefix alone": "openai/",
    "arn:": "arn:",
    "incomplete ARN": "arn:aws:bedrock",
    "bucket": "arn:aws:s3:::bucket",
    "role": f"arn:aws:iam::{ACCOUNT}:role/x",
    "application profile": arn("application-inference-profile/0123456789ab"),
    "imported model": arn("imported-model/0123456789ab"),
    "no region": model_arn(region=""),
    "unknown region": model_arn(region="nowhere"),
    "no account": model_arn(account=""),
    "long": "x" * 5000,
    "non-ASCII": "\u30e2\u30c7\u30eb",
    "line": "a\nb",
    "URL": "https://example.com/x",
    "None": None,
    "number": 5,
    "bytes": b"x",
    "list": ["x"],
}
KINDS = JOBS | MODELS | ENDPOINTS | BASES | NAMES | OPENAI_JOBS | OPENAI_MODELS | INVALID
METHODS = {
    "bind": lambda tuner, value, _: tuner.bind(value).submit(value, ()),
    "check": lambda tuner, value, _: tuner.check(value),
    "plan": lambda tuner, value, chat: tuner.plan(value, chat),
    "custom_model": lambda tuner, value, _: tuner.custom_model(value),
    "job": lambda tuner, value, _: tuner.job(value),
    "endpoint": lambda tuner, value, _: tuner.endpoint(value),
    "invoke": lambda tuner, value, _: tuner.invoke(value, "Hello"),
    "start_endpoint": lambda tuner, value, _: tuner.start_endpoint(value),
    "stop_endpoint": lambda tuner, value, _: tuner.stop_endpoint(value),
    "endpoints": lambda tuner, value, _: list(tuner.endpoints(model=value)),
    "submit": lambda tuner, value, chat: tuner.submit(value, chat),
    "cost": lambda tuner, value, chat: tuner.cost(value, chat),
    "preflight": lambda tuner, value, _: tuner.preflight(value),
    "run_host": lambda tuner, value, _: tuner.run_host(value),
}
# The kinds that each method accepts.
ALL_NAMES = NAMES | {name: BASES[name] for name in ("base model", "OpenAI's base model")}
ACCEPTED = {
    "bind": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "check": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "plan": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "custom_model": MODELS | OPENAI_MODELS | ALL_NAMES,
    "job": JOBS | OPENAI_JOBS | ALL_NAMES,
    "endpoint": ENDPOINTS | OPENAI_MODELS | ALL_NAMES,
    "invoke": ENDPOINTS | OPENAI_MODELS | ALL_NAMES,
    "start_endpoint": MODELS | OPENAI_MODELS,
    "stop_endpoint": MODELS | OPENAI_MODELS,
    "endpoints": MODELS | OPENAI_MODELS | {"empty": ""},
    "submit": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "cost": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "preflight": BASES | OPENAI_MODELS | {"None": None},
    "run_host": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
}


def test_all_methods_with_an_identifier_are_tested():
    methods = {
        name
        for name, method in inspect.getmembers(Tuner, inspect.isfunction)
        if not name.startswith("_")
        and {"model", "model_id", "job_id", "endpoint_id"}
        & inspect.signature(method).parameters.keys()
    }
    # Jobs, models and endpoints are all valid for these.
    assert METHODS.keys() == methods - {"evaluate", "promote"}


@pytest.mark.parametrize(
    ("method", "kind"),
    every(
        4, [(method, kind) for method in METHODS for kind in KINDS if kind not in ACCEPTED[method]]
    ),
)
def test_identifier_of_another_kind_is_rejected_with_the_expected_kind(tuner, chat, method, kind):
    value = KINDS[kind]
    with pytest.raises(ConfigError) as raised:
        METHODS[method](tuner, value, chat)
    message = str(raised.value)
    quoted = {shortened(value), shortened(str(value).removeprefix("openai/"))}
    quoted.add(shortened(str(value)[str(value).find("arn:") :]))
    assert any(text in message for text in quoted)
    assert any(
        word in message for word in ("expected", "specify", "see `tunestack", "models that can be")
    )


@pytest.mark.parametrize(
    ("method", "kind"),
    every(3, [(method, kind) for method in METHODS for kind in ACCEPTED[method]]),
)
def test_missing_resource_raises_an_error_of_tunestack(tuner, chat, method, kind):
    try:
        METHODS[method](tuner, KINDS[kind], chat)
    except NotFoundError as error:
        assert "ot find" in str(error) or "does not exist" in str(error)  # noqa: PT017
    except TunestackError as error:
        assert str(error)  # noqa: PT017


def test_endpoint_of_a_base_model_is_rejected(tuner):
    message = r"invalid model 'nova-micro': it is the base model Nova Micro: expected the ARN of a fine-tuned model"
    with pytest.raises(ConfigError, match=message):
        tuner.start_endpoint("nova-micro")


def test_endpoint_can_only_be_updated_to_a_custom_model(tuner, job):
    endpoint = job.start_endpoint()
    for kind in set(KINDS) - set(MODELS | OPENAI_MODELS):
        with pytest.raises(ConfigError, match="(?s)invalid model .*(expected|specify)"):
            endpoint.update(KINDS[kind])
    assert job.model == endpoint.refresh().model
