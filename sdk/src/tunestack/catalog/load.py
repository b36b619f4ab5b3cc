"""Read `data/*.toml` into `CATALOG`, refusing what it does not know."""

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
        "training": "per million tokens trained (tokens of the file x epochs)",
        "storage": "per month for each custom model kept",
        "input": "per million input tokens of the tuned model, on demand",
        "output": "per million output tokens of the tuned model, on demand",
        "provisioned": "per hour for each model unit, without commitment",
    }
)
"""What each key of `BaseModel.prices` is paid for."""

_NUMBERS: Mapping[str, type[int | float]] = {"integer": int, "number": float}


class _Catalog:
    """The base models by key, read on first use so that importing costs nothing."""

    def __iter__(self) -> Iterator[BaseModel]:
        return iter(_models().values())

    def __len__(self) -> int:
        return len(_models())

    def __contains__(self, key: object) -> bool:
        return key in _models()

    def __getitem__(self, key: str) -> BaseModel:
        return _models()[key]


CATALOG = _Catalog()
"""Every base model, in the order of the data files; also by key, `CATALOG["nova-micro"]`."""


@cache
def _models() -> Mapping[str, BaseModel]:
    models: dict[str, BaseModel] = {}
    data = files("tunestack.catalog").joinpath("data")
    for file in sorted(data.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        for model in parse(file.read_text("utf-8"), file.name):
            if model.key in models:
                raise ValueError(f"{file.name}: model {model.key!r} is in the catalog twice")
            models[model.key] = model
    return MappingProxyType(models)


def parse(text: str, name: str) -> list[BaseModel]:
    """Read the base models of one data file.

    Args:
        text: the TOML of the file.
        name: how to call the file in an error.

    Raises:
        ValueError: a field is missing or unknown; names the file and the model.
    """
    document = tomllib.loads(text)
    seen: date = document["seen"]
    families: dict[str, dict[str, Any]] = document["family"]
    models = []
    for entry in document["model"]:
        try:
            family = families[entry["family"]]
            # A model may change single hyperparameters of its family; everything else it replaces whole.
            own = family["hyperparameters"] | entry.get("hyperparameters", {})
            models.append(_model(family | entry | {"hyperparameters": own}, seen))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: model {entry.get('key')!r}: {error!r}") from error
    return models


def _model(entry: dict[str, Any], seen: date) -> BaseModel:
    unknown = entry.keys() - {field.name for field in fields(BaseModel)}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    unknown = entry.get("prices", {}).keys() - PRICE_UNITS.keys()
    if unknown:
        raise ValueError(f"unknown prices {sorted(unknown)}")
    return BaseModel(
        **entry
        | {
            "inference_ids": tuple(entry.get("inference_ids", ())),
            "aliases": tuple(entry.get("aliases", ())),
            "regions": tuple(entry.get("regions", ())),
            "serving": tuple(Serving(way) for way in entry.get("serving", ())),
            "record_format": RecordFormat(entry["record_format"]),
            "other_formats": tuple(map(RecordFormat, entry.get("other_formats", ()))),
            "chat_template": ChatTemplate(entry["chat_template"])
            if "chat_template" in entry
            else None,
            "takes": tuple(map(Content, entry.get("takes", ()))),
            "lifecycle": Lifecycle(**_confident(entry.get("lifecycle", {}))),
            "limits": Limits(
                **_confident(entry["limits"])
                | {"reserved_words": tuple(entry["limits"].get("reserved_words", ()))}
            ),
            "hyperparameters": MappingProxyType(
                {name: _hyperparameter(name, row) for name, row in entry["hyperparameters"].items()}
            ),
            "prices": MappingProxyType(
                {what: Price(**_confident(row)) for what, row in entry.get("prices", {}).items()}
            ),
            "seen": seen,
        }
    )


def _hyperparameter(name: str, row: dict[str, Any]) -> Hyperparameter:
    typed = {"type": _NUMBERS[row["type"]], "aliases": tuple(row.get("aliases", ()))}
    return Hyperparameter(name=name, **_confident(row) | typed)


def _confident(row: dict[str, Any]) -> dict[str, Any]:
    if "confidence" not in row:
        return row
    return row | {"confidence": Confidence(row["confidence"])}
