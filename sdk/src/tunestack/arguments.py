"""What callers pass, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from tunestack.catalog import RecordFormat
from tunestack.errors import ConfigError, HyperparameterError, shortened
from tunestack.provider import JobState

T = TypeVar("T")

_TYPES: Mapping[type, str] = {str: "text", bool: "True or False", int: "a whole number"}

OWN_TAGS = "tunestack:"
"""What the tags begin with that Tunestack sets itself."""

# botocore's patterns of TagKey and TagValue.
_TAG = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")
# Of the 50 that AWS allows, Tunestack uses three.
_MOST_TAGS = 47
_METHODS = ("supervised", "dpo")
_SUFFIX = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
_ID = re.compile(r"[!-~]+")
# With the model's key, the digest and the attempt it stays below the 63 characters that Bedrock allows.
_NAME = re.compile(r"(?=.{1,20}$)[a-zA-Z0-9](-?[a-zA-Z0-9])*")


def region_of(identifier: str) -> str | None:
    """Tell the region that an ARN names."""
    parts = identifier.split(":")
    return parts[3] if identifier.startswith("arn:") and len(parts) > 5 else None


def bare(identifier: str) -> str:
    """Take off what DSPy and litellm put before an ARN."""
    return identifier[identifier.index("arn:") :] if "/arn:" in identifier else identifier


def is_endpoint(identifier: str) -> bool:
    """Tell whether an ARN is that of an endpoint on Bedrock, of either kind."""
    return any(kind in identifier for kind in (":custom-model-deployment/", ":provisioned-model/"))


def checked(name: str, value: object, kind: type[T]) -> T:
    """Return the value if it is of its type.

    Raises:
        ConfigError: it is not; so do all functions here.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"invalid {name} {shortened(value)}: expected {_TYPES.get(kind, kind.__name__)}, "
            f"not {type(value).__name__}"
        )
    return value


def checked_id(what: str, value: object) -> str:
    """Return the value if it can be a name or an ARN."""
    text = checked(what, value, str)
    if not _ID.fullmatch(text):
        raise ConfigError(f"invalid {what} {shortened(text)}: specify a name or an ARN")
    return text


def checked_name(name: object) -> str:
    """Check what names of jobs and tuned models begin with."""
    text = checked("name", name, str)
    if not _NAME.fullmatch(text):
        raise ConfigError(
            f"name {shortened(text)} is not possible: "
            "use 1 to 20 letters and digits, single hyphens between"
        )
    return text


def checked_location(location: object, *, several: bool) -> str | None:
    """Check where data is to be put: one file has no room for several."""
    if location is None:
        return None
    text = checked("s3_path", location, str)
    if several and text.endswith(".jsonl"):
        raise ConfigError(
            f"s3_path {shortened(text)} is one file, and there are training "
            "and validation data: use a folder"
        )
    return text


def checked_state(state: object) -> JobState:
    """Read the name of a job's state."""
    for known in JobState:
        if state == known:
            return known
    raise ConfigError(f"state {shortened(state)} is none: use one of {', '.join(JobState)}")


def checked_time(name: str, time: object) -> datetime:
    """Return the time if it says of which zone it is."""
    found = checked(name, time, datetime)
    if found.tzinfo is None:
        raise ConfigError(f"{name} has no time zone: use datetime.now(UTC) - timedelta(...)")
    return found


def checked_method(method: object, record_format: str | None) -> tuple[str, str | None]:
    """Tell how a model is to learn, and from what records: as it is said of either."""
    preferences = record_format == RecordFormat.OPENAI_PREFERENCE
    if method is None:
        return "dpo" if preferences else "supervised", record_format
    text = checked("method", method, str)
    if text not in _METHODS:
        raise ConfigError(f"method {shortened(text)} is not possible: use {' or '.join(_METHODS)}")
    if text == "dpo" and record_format is None:
        return text, RecordFormat.OPENAI_PREFERENCE.value
    if (text == "dpo") != preferences:
        wanted = "'openai-preference'" if text == "dpo" else "another"
        raise ConfigError(f"method {text!r} needs record_format {wanted}")
    return text, record_format


def checked_seed(seed: object) -> int | None:
    """Check what chance begins with."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not 0 <= checked("seed", seed, int) < 2**31:
        raise ConfigError(f"seed {shortened(seed)} is not possible: use a whole number")
    return checked("seed", seed, int)


def checked_suffix(suffix: object) -> str | None:
    """Check what the name of a tuned model is to have in it."""
    if suffix is None:
        return None
    text = checked("suffix", suffix, str)
    if not _SUFFIX.fullmatch(text):
        raise ConfigError(
            f"suffix {shortened(text)} is not possible: use 1 to 64 letters, digits and hyphens"
        )
    return text


def checked_tags(tags: object) -> Mapping[str, str]:
    """Check tags by AWS's rules, before anything is uploaded."""
    if not isinstance(tags, Mapping):
        raise ConfigError(f"tags are a {type(tags).__name__}: use a mapping of text to text")
    if len(tags) > _MOST_TAGS:
        raise ConfigError(f"{len(tags)} tags are too many: use at most {_MOST_TAGS}")
    for key, value in tags.items():
        for text, longest in ((key, 128), (value, 256)):
            if not isinstance(text, str) or len(text) > longest or not _TAG.fullmatch(text):
                raise ConfigError(
                    f"tag {shortened(key)} = {shortened(value)} is not possible: use letters a to z, "
                    "digits, spaces and ._:/=+@-, 128 characters for the key, 256 for the value"
                )
        if not key or key.lower().startswith((OWN_TAGS, "aws:")):
            raise ConfigError(
                f"tag {shortened(key)} is not possible: names with 'aws:' and {OWN_TAGS!r} are taken"
            )
    return tags


def require_possible(
    provider: str,
    values: Mapping[str, str],
    *,
    method: str = "supervised",
    seed: int | None = None,
    suffix: str | None = None,
    **_: object,
) -> None:
    """Refuse what OpenAI alone takes, elsewhere; and what one method alone takes, with another."""
    if "beta" in values and method != "dpo":
        raise HyperparameterError('beta is of preferences alone: use method="dpo", or leave it out')
    for name, value in (("seed", seed), ("suffix", suffix)):
        if provider != "openai" and value is not None:
            raise ConfigError(f"{name}={value!r}: {provider} takes none: leave it out")
