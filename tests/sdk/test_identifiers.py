"""Every method that takes an id answers an id of another kind, or nonsense, with an error that says what is expected."""

import inspect

import pytest

from tunestack import Tuner
from tunestack.errors import ConfigError, NotFoundError, TunestackError, shortened

ACCOUNT = "123456789012"
BASE = "amazon.nova-micro-v1:0"


def arn(resource, *, partition="aws", region="us-east-1", account=ACCOUNT):
    return f"arn:{partition}:bedrock:{region}:{account}:{resource}"


def job_arn(**where):
    return arn(f"model-customization-job/{BASE}:128k/0123456789ab", **where)


def model_arn(**where):
    return arn(f"custom-model/{BASE}:128k/0123456789ab", **where)


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
NONSENSE = {
    "empty": "",
    "space": " ",
    "slash": "/",
    "route alone": "bedrock/",
    "OpenAI's prefix alone": "openai/",
    "arn:": "arn:",
    "half an ARN": "arn:aws:bedrock",
    "bucket": "arn:aws:s3:::bucket",
    "role": f"arn:aws:iam::{ACCOUNT}:role/x",
    "application profile": arn("application-inference-profile/0123456789ab"),
    "imported model": arn("imported-model/0123456789ab"),
    "no region": model_arn(region=""),
    "no such region": model_arn(region="nowhere"),
    "no account": model_arn(account=""),
    "long": "x" * 5000,
    "other letters": "\u30e2\u30c7\u30eb",
    "line": "a\nb",
    "URL": "https://example.com/x",
    "None": None,
    "number": 5,
    "bytes": b"x",
    "list": ["x"],
}
KINDS = JOBS | MODELS | ENDPOINTS | BASES | NAMES | OPENAI_JOBS | OPENAI_MODELS | NONSENSE
METHODS = {
    "bind": lambda tuner, value, _: tuner.bind(value).submit(value, ()),
    "check": lambda tuner, value, _: tuner.check(value),
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
}
# What each method takes; of what does not exist, it says so.
BY_NAME = NAMES | {name: BASES[name] for name in ("base model", "OpenAI's base model")}
TAKEN = {
    "bind": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "check": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "custom_model": MODELS | OPENAI_MODELS | BY_NAME,
    "job": JOBS | OPENAI_JOBS | BY_NAME,
    "endpoint": ENDPOINTS | OPENAI_MODELS | BY_NAME,
    "invoke": ENDPOINTS | OPENAI_MODELS | BY_NAME,
    "start_endpoint": MODELS | OPENAI_MODELS,
    "stop_endpoint": MODELS | OPENAI_MODELS,
    "endpoints": MODELS | OPENAI_MODELS | {"empty": ""},
    "submit": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "cost": MODELS | OPENAI_MODELS | BASES | ENDPOINTS,
    "preflight": BASES | OPENAI_MODELS | {"None": None},
}


def test_the_table_has_every_method_that_takes_an_id():
    taking = {
        name
        for name, method in inspect.getmembers(Tuner, inspect.isfunction)
        if not name.startswith("_")
        and {"model", "model_id", "job_id", "endpoint_id"}
        & inspect.signature(method).parameters.keys()
    }
    assert METHODS.keys() == taking


@pytest.mark.parametrize(
    ("method", "kind"),
    [(method, kind) for method in METHODS for kind in KINDS if kind not in TAKEN[method]],
)
def test_an_id_of_another_kind_is_refused_with_what_is_expected(tuner, chat, method, kind):
    value = KINDS[kind]
    with pytest.raises(ConfigError) as caught:
        METHODS[method](tuner, value, chat)
    words = str(caught.value)
    given = {shortened(value), shortened(str(value).removeprefix("openai/"))}
    given.add(shortened(str(value)[str(value).find("arn:") :]))
    assert any(text in words for text in given)
    assert any(
        word in words for word in ("expected", "specify", "see `tunestack", "models that can be")
    )


@pytest.mark.parametrize(
    ("method", "kind"), [(method, kind) for method in METHODS for kind in TAKEN[method]]
)
def test_of_what_does_not_exist_it_is_said_so(tuner, chat, method, kind):
    try:
        METHODS[method](tuner, KINDS[kind], chat)
    except NotFoundError as error:
        assert "ot find" in str(error) or "does not exist" in str(error)  # noqa: PT017
    except TunestackError as error:
        assert str(error)  # noqa: PT017


def test_a_base_model_has_no_endpoint_to_start(tuner):
    words = r"invalid model 'nova-micro': it is the base model Nova Micro: expected the ARN of a fine-tuned model"
    with pytest.raises(ConfigError, match=words):
        tuner.start_endpoint("nova-micro")


def test_an_endpoint_is_updated_to_a_fine_tuned_model_only(tuner, job):
    endpoint = job.start_endpoint()
    for kind in set(KINDS) - set(MODELS | OPENAI_MODELS):
        with pytest.raises(ConfigError, match="(?s)invalid model .*(expected|specify)"):
            endpoint.update(KINDS[kind])
    assert job.model == endpoint.refresh().model
