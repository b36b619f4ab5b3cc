"""Regions in which base models can be invoked on Bedrock, by model id or through an inference profile."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack.catalog.model import Confidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """The regions in which a base model can be invoked."""

    on_demand: tuple[str, ...]
    """Regions in which the model id can be invoked directly."""
    profiles: Mapping[str, tuple[str, ...]]
    """Regions in which an inference profile can be invoked, by geography (`us`, `eu`, `global` ...)."""
    confidence: Confidence
    source: str
    seen: date
    """The date on which the source was read."""

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
    document = tomllib.loads(
        files("tunestack.catalog").joinpath("inference.toml").read_text("utf-8")
    )
    return MappingProxyType(
        {
            key: Inference(
                on_demand=tuple(row["on_demand"]),
                profiles=MappingProxyType(
                    {name: tuple(regions) for name, regions in row["profiles"].items()}
                ),
                confidence=Confidence(row["confidence"]),
                source=row["source"],
                seen=document["seen"],
            )
            for row in document["model"]
            for key in row["keys"]
        }
    )
