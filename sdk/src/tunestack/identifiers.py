"""Check the ids of jobs, endpoints and fine-tuned models: an id of another kind is refused, with what it is."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.errors import ConfigError, ModelError, shortened
from tunestack.settings import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB, ENDPOINT, MODEL, CUSTOM_MODEL, SOURCE = (
    "job id",
    "endpoint id",
    "model",
    "custom model",
    "model to fine-tune",
)
"""The kinds of ids. A custom model is named, too; a model is not, as most requests need its ARN; a job can start from the last."""

_EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        JOB: "the ARN or name of a fine-tuning job (job.id, see `tunestack jobs`), or an OpenAI job id (ftjob-...)",
        ENDPOINT: "the ARN or name of an endpoint (endpoint.id, see `tunestack endpoint list`), "
        "or a fine-tuned model of OpenAI (ft:...)",
        MODEL: "the ARN of a fine-tuned model on Bedrock (job.model, arn:aws:bedrock:<region>:<account>:custom-model/...), "
        "or a fine-tuned model of OpenAI (ft:...)",
        CUSTOM_MODEL: "the ARN or name of a custom model on Bedrock (job.model, see `tunestack custom-models list`), "
        "or a fine-tuned model of OpenAI (ft:...)",
        SOURCE: "a base model (see `tunestack models`), a fine-tuned model (job.model), or the endpoint of one",
    }
)
_RESOURCES: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "model-customization-job": ((JOB,), "a fine-tuning job"),
        "custom-model": ((MODEL, CUSTOM_MODEL, SOURCE), "a fine-tuned model"),
        "custom-model-deployment": ((ENDPOINT, SOURCE), "an endpoint"),
        "provisioned-model": ((ENDPOINT, SOURCE), "an endpoint"),
        "foundation-model": ((), "a base model"),
        "inference-profile": ((), "a base model"),
        "application-inference-profile": ((), "an inference profile"),
        "imported-model": ((), "an imported model"),
    }
)
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:([a-z0-9-]+):(\d{12})?:([a-z-]+)/.+")
# Wider than botocore's patterns of the names of jobs and endpoints.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+._-]{0,62}")
# botocore's ModelName.
_MODEL_NAME = re.compile(r"([0-9a-zA-Z][_-]?){1,63}")


def bedrock_id(kind: str, identifier: str) -> str:
    """Return an id on Bedrock if it can be one of a kind.

    Raises:
        ConfigError: it can't; a `ModelError` for models.
    """
    if identifier.startswith("arn:"):
        arn = _ARN.fullmatch(identifier)
        if arn is None or not REGION.fullmatch(arn[1]):
            raise _invalid(kind, identifier, "it is not the ARN of a resource in Bedrock")
        kinds, description = _RESOURCES.get(arn[3], ((), "something else"))
        if kind not in kinds or arn[2] is None:
            raise _invalid(kind, identifier, f"it is the ARN of {description}")
    elif kind is MODEL or not _name_of(kind).fullmatch(identifier):
        base = catalog.find(identifier)
        problem = "it is not an ARN" if kind is MODEL else "it is not a name or an ARN"
        raise _invalid(
            kind, identifier, problem if base is None else f"it is the base model {base.name}"
        )
    return identifier


def _name_of(kind: str) -> re.Pattern[str]:
    return _MODEL_NAME if kind is CUSTOM_MODEL else _NAME


def openai_id(kind: str, identifier: str) -> str:
    """Return an id at OpenAI if it can be one of a kind; other servers' ids may have any form.

    Raises:
        ConfigError: it can't; a `ModelError` for models.
    """
    if not identifier:
        raise _invalid(kind, identifier, "it is empty")
    if kind is JOB and identifier.startswith("ft:"):
        raise _invalid(kind, identifier, "it is a fine-tuned model")
    if kind is not JOB and identifier.startswith("ftjob-"):
        raise _invalid(kind, identifier, "it is a fine-tuning job")
    return identifier


def _invalid(kind: str, identifier: str, problem: str) -> ConfigError:
    error = ModelError if kind in (MODEL, CUSTOM_MODEL, SOURCE) else ConfigError
    return error(f"invalid {kind} {shortened(identifier)}: {problem}: expected {_EXPECTED[kind]}")
