"""Regions in which base models can be invoked on Bedrock, by model id or through an inference profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunestack.catalog.model import Confidence

_DATA = Path(__file__).with_name("inference.toml")


class Inference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The regions in which a base model can be invoked."""

    on_demand: tuple[str, ...]
    """Regions in which the model id can be invoked directly."""
    profiles: Mapping[str, tuple[str, ...]]
    """Regions in which an inference profile can be invoked, by geography (`us`, `eu`, `global` ...)."""
    confidence: Confidence
    source: str
    seen: date
    """The date on which the source was read."""

    def __post_init__(self) -> None:
        """Make the profiles read-only, like the other fields."""
        msgspec.structs.force_setattr(self, "profiles", MappingProxyType(self.profiles))

    def has_profile(self, geography: str, region: str) -> bool:
        """Return whether the inference profile of a geography can be invoked in a region."""
        return any(fnmatchcase(region, pattern) for pattern in self.profiles.get(geography, ()))

    def is_served_in(self, region: str) -> bool:
        """Return whether the model can be invoked in a region, by its id or through a profile."""
        return region in self.on_demand or any(
            self.has_profile(geography, region) for geography in self.profiles
        )


def find_inference(key: str) -> Inference | None:
    """Return the regions of a base model by its catalog key, or `None` if they are unknown."""
    return _read_inference().get(key)


@cache
def _read_inference() -> Mapping[str, Inference]:
    import tomllib  # noqa: PLC0415 - takes time to load

    document = tomllib.loads(_DATA.read_text("utf-8"))
    return {
        key: msgspec.convert(row | {"seen": document["seen"]}, Inference)
        for row in document["model"]
        for key in row.pop("keys")
    }
