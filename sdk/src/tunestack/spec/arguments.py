"""Check the types of arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from tunestack.errors import ConfigError, shortened

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

_TYPES: Mapping[type, str] = {str: "text", bool: "True or False", int: "an integer"}

OWN_TAGS = "tunestack:"
"""The prefix of the tags that Tunestack sets."""

# botocore's patterns of TagKey and TagValue.
_TAG = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")
# AWS allows 50; Tunestack sets three.
_MAX_TAGS = 47
_ID = re.compile(r"[!-~]+")


def check_type(name: str, value: object, kind: type[T]) -> T:
    """Return the value if it has the expected type.

    Raises:
        ConfigError: it has another one.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"invalid {name} {shortened(value)}: expected {_TYPES.get(kind, kind.__name__)}, "
            f"not {type(value).__name__}"
        )
    return value


def is_list_of(value: object, *kinds: Any) -> bool:
    """Return whether the value is a list, or another collection but text and mappings, whose items have one of the types."""
    return (
        isinstance(value, Collection)
        and not isinstance(value, str | Mapping)
        and all(isinstance(item, kinds) for item in value)
    )


def is_mapping_of_text(value: object) -> bool:
    """Return whether the value is a mapping of text to text."""
    return isinstance(value, Mapping) and is_list_of([*value, *value.values()], str)


def check_choice(name: str, value: object, choices: type[Choice]) -> Choice:
    """Return the member of an enum that has the value.

    Raises:
        ConfigError: no member has it.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise ConfigError(f"unknown {name} {shortened(value)}: use one of {', '.join(choices)}")


def check_id(name: str, value: object) -> str:
    """Return the value if it can be a name or an ARN.

    Raises:
        ConfigError: it is empty, contains spaces or other letters than ASCII, or is not a string.
    """
    text = check_type(name, value, str)
    if not _ID.fullmatch(text):
        raise ConfigError(f"invalid {name} {shortened(text)}: specify a name or an ARN")
    return text


def check_time(name: str, value: object) -> datetime:
    """Return the time in UTC if it has a time zone.

    Raises:
        ConfigError: it has none, is before the year 1 or after 9999 in UTC, or is not a `datetime`.
    """
    time = check_type(name, value, datetime)
    if time.tzinfo is None:
        raise ConfigError(f"{name} has no time zone: use datetime.now(UTC) - timedelta(...)")
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ConfigError(
            f"invalid {name} {time.isoformat()}: use a time in the years 1 to 9999 in UTC"
        ) from error


def check_tags(tags: object) -> None:
    """Check tags by AWS's rules (botocore's model, `Tag`).

    Raises:
        ConfigError: a key or value is invalid or reserved, or there are more than 47.
    """
    if not isinstance(tags, Mapping):
        raise ConfigError(f"tags are a {type(tags).__name__}: use a mapping of text to text")
    if len(tags) > _MAX_TAGS:
        raise ConfigError(f"{len(tags)} tags are too many: use at most {_MAX_TAGS}")
    for key, value in tags.items():
        for text, longest in ((key, 128), (value, 256)):
            if not isinstance(text, str) or len(text) > longest or not _TAG.fullmatch(text):
                raise ConfigError(
                    f"invalid tag {shortened(key)} = {shortened(value)}: use letters a to z, digits, spaces and "
                    "._:/=+@-, up to 128 characters for the key and 256 for the value"
                )
        if not key or key.lower().startswith((OWN_TAGS, "aws:")):
            raise ConfigError(
                f"invalid tag {shortened(key)}: keys that start with 'aws:' or {OWN_TAGS!r} are reserved"
            )
