"""What callers pass, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from tunestack.errors import ConfigError, shortened

T = TypeVar("T")

OWN_TAGS = "tunestack:"
"""What the tags begin with that Tunestack sets itself."""

# botocore's patterns of TagKey and TagValue.
_TAG = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")
# Of the 50 that AWS allows, Tunestack uses three.
_MOST_TAGS = 47
_ID = re.compile(r"[!-~]+")


def region_of(identifier: str) -> str | None:
    """Tell the region that an ARN names."""
    parts = identifier.split(":")
    return parts[3] if identifier.startswith("arn:") and len(parts) > 5 else None


def bare(identifier: str) -> str:
    """Take off what DSPy and litellm put before an ARN."""
    return identifier[identifier.index("arn:") :] if "/arn:" in identifier else identifier


def checked(name: str, value: object, kind: type[T]) -> T:
    """Return the value if it is of its type.

    Raises:
        ConfigError: it is not; so do all functions here.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"{name} is a {type(value).__name__}, expected {'text' if kind is str else kind.__name__}"
        )
    return value


def checked_id(what: str, value: object) -> str:
    """Return the value if it can be a name or an ARN."""
    text = checked(what, value, str)
    if not _ID.fullmatch(text):
        raise ConfigError(f"{what} {shortened(text)} is not possible: use a name or an ARN")
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
