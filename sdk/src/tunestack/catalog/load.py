"""Read `data/*.toml` into `CATALOG`. Unknown fields are errors."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack.catalog.model import (
    BaseModel,
    ChatTemplate,
    Confidence,
    Content,
    Hyperparameter,
    Lifecycle,
    Limits,
    Price,
    RecordFormat,
    Serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

PRICE_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "training": "per million tokens trained (tokens in the file x epochs)",
        "storage": "per month for each custom model",
        "input": "per million input tokens of the custom model, on demand",
        "output": "per million output tokens of the custom model, on demand",
        "provisioned": "per hour for each model unit, without commitment",
    }
)
"""The unit of each price in `BaseModel.prices`."""

_NUMBER_TYPES: Mapping[str, type[int | float]] = {"integer": int, "number": float}


class _Catalog:
    """The base models by key. The data files are read on first use, so that the import stays fast."""

    def __iter__(self) -> Iterator[BaseModel]:
        return iter(_read_models().values())

    def __len__(self) -> int:
        return len(_read_models())

    def __contains__(self, key: object) -> bool:
        return key in _read_models()

    def __getitem__(self, key: str) -> BaseModel:
        return _read_models()[key]


CATALOG = _Catalog()
"""All base models, in the order of the data files; `CATALOG["nova-micro"]` returns one by its key."""


@cache
def _read_models() -> Mapping[str, BaseModel]:
    models: dict[str, BaseModel] = {}
    data = files("tunestack.catalog").joinpath("data")
    for file in sorted(data.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for model in parse(file.read_text("utf-8"), file.name):
            if model.key in models:
                raise ValueError(f"{file.name}: model {model.key!r} appears twice in the catalog")
            models[model.key] = model
    return MappingProxyType(models)


def parse(text: str, name: str) -> list[BaseModel]:
    """Return the base models of one data file.

    Args:
        text: the content of the file, in TOML.
        name: the name of the file, for error messages.

    Raises:
        ValueError: a field is missing or unknown. The message has the file and the model.
    """
    document = tomllib.loads(text)
    seen: date = document["seen"]
    families: dict[str, dict[str, Any]] = document["family"]
    models = []
    for entry in document["model"]:
        try:
            family = families[entry["family"]]
            # Hyperparameters are merged with those of the family; other fields replace them.
            merged = family["hyperparameters"] | entry.get("hyperparameters", {})
            models.append(_build_model(family | entry | {"hyperparameters": merged}, seen))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: model {entry.get('key')!r}: {error!r}") from error
    return models


def _build_model(entry: dict[str, Any], seen: date) -> BaseModel:
    _require_known_keys(entry)
    return BaseModel(
        **entry
        | {
            "inference_ids": tuple(entry.get("inference_ids", ())),
            "aliases": tuple(entry.get("aliases", ())),
            "regions": tuple(entry.get("regions", ())),
            "serving": tuple(Serving(mode) for mode in entry.get("serving", ())),
            "record_format": RecordFormat(entry["record_format"]),
            "other_formats": tuple(map(RecordFormat, entry.get("other_formats", ()))),
            "chat_template": ChatTemplate(entry["chat_template"])
            if "chat_template" in entry
            else None,
            "takes": tuple(map(Content, entry.get("takes", ()))),
            "lifecycle": Lifecycle(**_parse_confidence(entry.get("lifecycle", {}))),
            "limits": Limits(
                **_parse_confidence(entry["limits"])
                | {"reserved_words": tuple(entry["limits"].get("reserved_words", ()))}
            ),
            "hyperparameters": MappingProxyType(
                {
                    name: _build_hyperparameter(name, row)
                    for name, row in entry["hyperparameters"].items()
                }
            ),
            "prices": MappingProxyType(
                {
                    kind: Price(**_parse_confidence(row))
                    for kind, row in entry.get("prices", {}).items()
                }
            ),
            "seen": seen,
        }
    )


def _require_known_keys(entry: dict[str, Any]) -> None:
    if unknown := entry.keys() - {field.name for field in fields(BaseModel)}:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    if unknown := entry.get("prices", {}).keys() - PRICE_UNITS.keys():
        raise ValueError(f"unknown prices {sorted(unknown)}")


def _build_hyperparameter(name: str, row: dict[str, Any]) -> Hyperparameter:
    typed = {"type": _NUMBER_TYPES[row["type"]], "aliases": tuple(row.get("aliases", ()))}
    return Hyperparameter(name=name, **_parse_confidence(row) | typed)


def _parse_confidence(row: dict[str, Any]) -> dict[str, Any]:
    if "confidence" not in row:
        return row
    return row | {"confidence": Confidence(row["confidence"])}
