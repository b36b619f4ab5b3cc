"""ARNs of Amazon Bedrock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.backends.identifiers import IdKind, invalid_id
from tunestack.settings import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d*):"
    r"(?P<resource_type>[a-z-]+)/(?P<resource>.+)"
)
# Wider than botocore's patterns for the names of jobs and endpoints.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+._-]{0,62}")
# botocore's ModelName.
_MODEL_NAME = re.compile(r"([0-9a-zA-Z][_-]?){1,63}")

_ENDPOINTS = ("custom-model-deployment", "provisioned-model")
_BASE_MODELS = ("foundation-model", "inference-profile")
_KINDS: Mapping[str, tuple[tuple[IdKind, ...], str]] = {
    "model-customization-job": ((IdKind.JOB,), "a fine-tuning job"),
    "custom-model": ((IdKind.MODEL, IdKind.CUSTOM_MODEL, IdKind.SOURCE), "a fine-tuned model"),
    "custom-model-deployment": ((IdKind.ENDPOINT, IdKind.SOURCE), "an endpoint"),
    "provisioned-model": ((IdKind.ENDPOINT, IdKind.SOURCE), "an endpoint"),
    "foundation-model": ((), "a base model"),
    "inference-profile": ((), "a base model"),
    "application-inference-profile": ((), "an inference profile"),
    "imported-model": ((), "an imported model"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arn:
    """The parts of an ARN: `arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/0123456789ab`."""

    partition: str
    service: str
    region: str
    account: str
    resource_type: str
    resource: str
    """What follows the type: `amazon.nova-micro-v1:0:128k/0123456789ab`."""

    @classmethod
    def parse(cls, text: str) -> Arn | None:
        """Read an ARN, also with DSPy's prefix (`bedrock/converse/arn:...`); `None` if it is not an ARN."""
        match = _ARN.fullmatch(strip_route(text))
        return None if match is None else cls(**match.groupdict())

    def __str__(self) -> str:
        """Return the ARN."""
        return (
            f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:"
            f"{self.resource_type}/{self.resource}"
        )

    @property
    def is_endpoint(self) -> bool:
        """Whether this is a custom model deployment or provisioned throughput."""
        return self.resource_type in _ENDPOINTS

    @property
    def is_base_model(self) -> bool:
        """Whether this is a foundation model, or an inference profile of one."""
        return self.resource_type in _BASE_MODELS


def strip_route(identifier: str) -> str:
    """Remove what DSPy and litellm put before an ARN."""
    return identifier[identifier.index("arn:") :] if "/arn:" in identifier else identifier


def region_of(identifier: str) -> str | None:
    """Return the region in an ARN; `None` if it is not an ARN, or has no region."""
    arn = Arn.parse(identifier)
    return None if arn is None else arn.region or None


def check_bedrock_id(kind: IdKind, identifier: str) -> str:
    """Return an id on Bedrock, without DSPy's prefix, if it can be one of a kind.

    Raises:
        ConfigError: it can't; a `ModelError` for models.
    """
    identifier = strip_route(identifier)
    if identifier.startswith("arn:"):
        arn = Arn.parse(identifier)
        if arn is None or arn.service != "bedrock" or not REGION.fullmatch(arn.region):
            raise invalid_id(kind, identifier, "it is not the ARN of a resource in Bedrock")
        kinds, description = _KINDS.get(arn.resource_type, ((), "another resource"))
        if kind not in kinds or len(arn.account) != 12:
            raise invalid_id(kind, identifier, f"it is the ARN of {description}")
        return identifier
    name = _MODEL_NAME if kind is IdKind.CUSTOM_MODEL else _NAME
    if kind is IdKind.MODEL or not name.fullmatch(identifier):
        base = catalog.find(identifier)
        problem = "it is not an ARN" if kind is IdKind.MODEL else "it is not a name or an ARN"
        raise invalid_id(
            kind, identifier, problem if base is None else f"it is the base model {base.name}"
        )
    return identifier
