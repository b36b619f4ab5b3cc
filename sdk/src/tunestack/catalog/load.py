"""Read `data/*.toml` into `CATALOG`. Unknown fields are errors."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from tunestack.catalog.model import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog.model import PriceKind

PRICE_UNITS: Mapping[PriceKind, str] = MappingProxyType(
    {
        "training": "per million tokens trained (tokens in the file x epochs)",
        "storage": "per month for each custom model",
        "input": "per million input tokens of the custom model, on demand",
        "output": "per million output tokens of the custom model, on demand",
        "provisioned": "per hour for each model unit, without commitment",
    }
)
"""The unit of each price in `BaseModel.prices`."""

_DATA = Path(__file__).with_name("data")


class _Catalog:
    """The base models by key. Each data file is read when it is first needed, so that the import stays fast."""

    def __iter__(self) -> Iterator[BaseModel]:
        return (model for file in _data_files() for model in _read_file(file))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return any(model.key == key for model in self)

    def __getitem__(self, key: str) -> BaseModel:
        for model in self:
            if model.key == key:
                return model
        raise KeyError(key)


CATALOG = _Catalog()
"""All base models, in the order of the data files; `CATALOG["nova-micro"]` returns one by its key."""


@cache
def _data_files() -> tuple[Path, ...]:
    return tuple(sorted(_DATA.glob("*.toml")))


@cache
def _read_file(file: Path) -> list[BaseModel]:
    return parse(file.read_text("utf-8"), file.name)


def parse(text: str, name: str) -> list[BaseModel]:
    """Return the base models of one data file.

    Args:
        text: the content of the file, in TOML.
        name: the name of the file, for error messages.

    Raises:
        ValueError: a field is missing or unknown. The message has the file and the model.
    """
    document = tomllib.loads(text)
    models = []
    for entry in document["model"]:
        try:
            family = document["family"][entry["family"]]
            # Hyperparameters are merged with those of the family; other fields replace them.
            hyperparameters = family["hyperparameters"] | entry.get("hyperparameters", {})
            fields: dict[str, Any] = {
                **family,
                **entry,
                "hyperparameters": {
                    name: {"name": name, **row} for name, row in hyperparameters.items()
                },
                "seen": document["seen"],
            }
            models.append(msgspec.convert(fields, BaseModel))
        except (KeyError, msgspec.ValidationError) as error:
            raise ValueError(f"{name}: model {entry.get('key')!r}: {error!r}") from error
    return models
