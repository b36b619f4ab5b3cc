"""The catalog, compared with a table that was written by hand."""

from datetime import date
from typing import Any

import pytest

from tunestack import catalog
from tunestack.catalog import CATALOG, LifecycleState, load
from tunestack.errors import ModelError

TODAY = date(2026, 11, 22)
# Key: customization id, region, record format, serving (user guide, read 2026-11-22).
BEDROCK_TODAY = {
    "nova-micro": ("amazon.nova-micro-v1:0:128k", "us-east-1", "converse", "on-demand provisioned"),
    "nova-lite": ("amazon.nova-lite-v1:0:300k", "us-east-1", "converse", "on-demand provisioned"),
    "nova-pro": ("amazon.nova-pro-v1:0:300k", "us-east-1", "converse", "on-demand provisioned"),
    "nova-2-lite": (
        "amazon.nova-2-lite-v1:0:256k",
        "us-east-1",
        "converse",
        "on-demand provisioned",
    ),
    "llama-3-1-8b": ("meta.llama3-1-8b-instruct-v1:0:128k", "us-west-2", "prompt", "provisioned"),
    "llama-3-1-70b": ("meta.llama3-1-70b-instruct-v1:0:128k", "us-west-2", "prompt", "provisioned"),
    "llama-3-2-1b": ("meta.llama3-2-1b-instruct-v1:0:128k", "us-west-2", "converse", "provisioned"),
    "llama-3-2-3b": ("meta.llama3-2-3b-instruct-v1:0:128k", "us-west-2", "converse", "provisioned"),
    "llama-3-2-11b": (
        "meta.llama3-2-11b-instruct-v1:0:128k",
        "us-west-2",
        "converse",
        "provisioned",
    ),
    "llama-3-2-90b": (
        "meta.llama3-2-90b-instruct-v1:0:128k",
        "us-west-2",
        "converse",
        "provisioned",
    ),
    "llama-3-3-70b": ("meta.llama3-3-70b-instruct-v1:0:128k", "us-west-2", "converse", "on-demand"),
}
FORMATS = {"converse": "bedrock-conversation-2024", "prompt": "completion"}


def test_catalog_has_exactly_the_models_of_the_user_guide():
    models = {
        model.key: (
            model.customization_id,
            " ".join(model.regions),
            model.record_format.value,
            " ".join(serving.value for serving in model.serving),
        )
        for model in catalog.tunable(on=TODAY, provider="bedrock")
    }
    assert {
        key: (model, region, FORMATS[form], serving)
        for key, (model, region, form, serving) in BEDROCK_TODAY.items()
    } == models


@pytest.mark.parametrize(
    ("key", "on", "state"),
    [
        ("claude-3-haiku", date(2026, 3, 9), LifecycleState.ACTIVE),
        ("claude-3-haiku", date(2026, 3, 10), LifecycleState.LEGACY),
        ("claude-3-haiku", date(2026, 9, 10), LifecycleState.RETIRED),
        ("titan-text-express", TODAY, LifecycleState.RETIRED),
        ("cohere-command", TODAY, LifecycleState.RETIRED),
        ("llama-2-13b", TODAY, LifecycleState.RETIRED),
        ("gpt-4o-mini-2024-07-18", TODAY, LifecycleState.ACTIVE),
        ("gpt-4o-mini-2024-07-18", date(2027, 1, 6), LifecycleState.LEGACY),
        ("gpt-4o-mini-2024-07-18", date(2027, 1, 14), LifecycleState.RETIRED),
    ],
)
def test_lifecycle_state_depends_on_the_date(key, on, state):
    assert state == CATALOG[key].lifecycle.state(on)


@pytest.mark.parametrize(
    "name",
    [
        "nova-micro",
        "amazon.nova-micro-v1:0",
        "amazon.nova-micro-v1:0:128k",
        "us.amazon.nova-micro-v1:0",
        "bedrock/us.amazon.nova-micro-v1:0",
        "bedrock/converse/us.amazon.nova-micro-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
    ],
)
def test_every_name_of_a_model_is_resolved(name):
    assert catalog.find(name) is catalog.CATALOG["nova-micro"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt-4o-mini", "can't be fine-tuned on bedrock, only on openai"),
        ("amazon.titan-image-generator-v2:0", "it is not a language model"),
        ("qwen.qwen3-32b", "only reinforcement fine-tuning"),
    ],
)
def test_error_about_an_unsupported_model_has_the_reason(name, message):
    with pytest.raises(ModelError, match=message):
        catalog.require(name, on=TODAY, provider="bedrock")


def test_model_can_override_hyperparameters_of_its_family():
    command, light = CATALOG["cohere-command"], CATALOG["cohere-command-light"]
    assert command.hyperparameters.keys() == light.hyperparameters.keys()
    assert (
        command.hyperparameters["batchSize"].max,
        light.hyperparameters["batchSize"].max,
    ) == (8, 32)


def test_base_model_is_read_from_the_arn_of_a_custom_model():
    arn = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab"
    assert catalog.of_custom_model(arn).key == "nova-micro"
    with pytest.raises(ModelError, match="not the ARN of a custom model"):
        catalog.of_custom_model(arn.replace("nova-micro", "nova-mikro"))


def test_names_of_models_are_unique():
    names = [name for model in CATALOG for name in set(model.names())]
    assert sorted(set(names)) == sorted(names)


def test_every_model_has_a_source_and_a_date():
    for model in CATALOG:
        assert model.source
        assert model.seen
        assert model.limits.source
        assert all(row.source for row in model.hyperparameters.values())
        assert all(price.source for price in model.prices.values())


def test_error_about_an_unsupported_model_names_supported_models():
    with pytest.raises(ModelError, match=r"claude-3-sonnet.*nova-micro.*\(in us-east-1\).*llama"):
        catalog.require("bedrock/anthropic.claude-3-sonnet-20240229", on=TODAY, provider="bedrock")


def test_error_about_a_wrong_region_has_the_right_region():
    with pytest.raises(
        ModelError,
        match='in us-west-2, only in us-east-1: set region="us-east-1" .*in us-west-2 today: llama',
    ):
        catalog.require("nova-micro", on=TODAY, provider="bedrock", region="us-west-2")


def test_error_about_a_retired_model_is_not_about_its_region():
    with pytest.raises(ModelError, match="retired on 2026-09-10"):
        catalog.require("claude-3-haiku", on=TODAY, provider="bedrock", region="us-east-1")


def test_model_that_the_stage_does_not_allow_is_rejected():
    with pytest.raises(ModelError, match="use nova-lite, or add it to the stage's base_models"):
        catalog.require_allowed(CATALOG["nova-micro"], ("nova-lite",))
    catalog.require_allowed(CATALOG["nova-micro"], ())


@pytest.mark.parametrize(
    ("key", "service_state", "message"),
    [
        ("claude-3-haiku", LifecycleState.ACTIVE, None),
        ("claude-3-haiku", None, "retired on 2026-09-10"),
        ("titan-text-lite", None, "retired by 2026-08-09"),
        ("nova-micro", None, None),
        ("nova-micro", LifecycleState.LEGACY, "accepts no new jobs, according to the service"),
        ("nova-micro", LifecycleState.RETIRED, "is not available here, according to the service"),
    ],
)
def test_state_of_the_service_takes_precedence_over_dates(key, service_state, message):
    if message is None:
        catalog.require_living(CATALOG[key], on=TODAY, service_state=service_state)
        return
    with pytest.raises(ModelError, match=message):
        catalog.require_living(CATALOG[key], on=TODAY, service_state=service_state)


VALID = """
seen = 2026-11-22
[family.f]
publisher = "v"
provider = "bedrock"
record_format = "messages"
source = "s"
limits = { confidence = "high", source = "s" }
[family.f.hyperparameters]
epochCount = { type = "integer", min = 1, max = 5, default = 2, confidence = "high", source = "s" }
[[model]]
key = "k"
family = "f"
name = "K"
customization_id = "v.k"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "K"', 'nmae = "K"'),
        ('name = "K"', 'name = "K"\nprices = { lunch = { usd = 1 } }'),
        ('type = "integer"', 'type = "text"'),
        ('confidence = "high"', 'confidence = "total"'),
        ('"messages"', '"parquet"'),
        ('family = "f"', 'family = "g"'),
        ("max = 5", "maximum = 5"),
    ],
)
def test_typo_in_a_data_file_is_an_error(old, new):
    assert load.parse(VALID, "valid.toml")[0].key == "k"
    with pytest.raises(ValueError, match=r"bad\.toml: model 'k'"):
        load.parse(VALID.replace(old, new), "bad.toml")


def test_catalog_is_read_only():
    model = CATALOG["nova-micro"]
    inference = catalog.find_inference("nova-micro")
    assert inference is not None
    mappings: tuple[Any, ...] = (model.hyperparameters, model.prices, inference.profiles)
    for mapping in mappings:
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["x"] = 1
    with pytest.raises(AttributeError, match="immutable"):
        setattr(model, "name", "x")  # noqa: B010 - mypy refuses the assignment
