"""Hyperparameters: names, types and ranges checked, numbers in, what the vendor wants on the wire out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tunestack.errors import HyperparameterError, shortened

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel, Hyperparameter


def resolve(model: BaseModel, given: Mapping[str, object]) -> dict[str, str]:
    """Check hyperparameters against what the model takes and write them as text, which is what Bedrock wants.

    `epochCount` is always sent, with the model's default if need be: it decides the price, and Nova has been seen to refuse an empty map.

    Raises:
        HyperparameterError: an unknown name, a value that is no number, or one out of range; every mistake, not the first.
    """
    if not isinstance(given, Mapping):
        raise HyperparameterError(
            f"hyperparameters are a {type(given).__name__}: use a mapping of names to numbers"
        )
    mistakes = []
    values: dict[str, Decimal] = {}
    for name, value in given.items():
        known = _known(name, model)
        if known is None:
            mistakes.append(_unknown(name, model))
            continue
        if known.auto and value == "auto":
            continue
        if known.name in values:
            mistakes.append(f"{known.name} is given twice, also as {shortened(name)}")
            continue
        number = _number(value)
        wrong = _wrong(known, number)
        if number is None or wrong:
            mistakes.append(f"{name}={shortened(value)} is {wrong}: use {_range(known)}")
        else:
            values[known.name] = number
    if mistakes:
        raise HyperparameterError(f"hyperparameters of {model.name}: {'; '.join(mistakes)}")
    epochs = model.hyperparameters.get("epochCount")
    if epochs is not None and epochs.default is not None:
        values.setdefault("epochCount", _exact(epochs.default))
    return {name: _wire(values[name]) for name in sorted(values)}


def complete(model: BaseModel, wire: Mapping[str, str]) -> dict[str, str]:
    """Add the model's defaults, so that a default left out and one spelled out are the same."""
    defaults = {
        name: _wire(_exact(known.default))
        for name, known in model.hyperparameters.items()
        if known.default is not None
    }
    return defaults | dict(wire)


def _wrong(known: Hyperparameter, number: Decimal | None) -> str | None:
    """Tell what is wrong with a value, if anything is."""
    if number is None:
        return "not a number"
    if known.type is int and number != number.to_integral_value():
        return "not a whole number"
    return None if _exact(known.min) <= number <= _exact(known.max) else "out of range"


def _known(name: object, model: BaseModel) -> Hyperparameter | None:
    return next(
        (known for known in model.hyperparameters.values() if name in (known.name, *known.aliases)),
        None,
    )


def _unknown(name: object, model: BaseModel) -> str:
    folded = {known.lower().replace("_", ""): known for known in model.hyperparameters}
    close = get_close_matches(str(name).lower().replace("_", ""), folded, n=1)
    hint = f"did you mean {folded[close[0]]!r}? " if close else ""
    return f"it has no {shortened(name)}: {hint}it takes {', '.join(model.hyperparameters)}"


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _exact(value: float) -> Decimal:
    # Through the shortest text, so that 1e-5 is a hundred-thousandth and not its nearest binary fraction.
    return Decimal(repr(value))


def _range(known: Hyperparameter) -> str:
    kind = "a whole number" if known.type is int else "a number"
    default = "" if known.default is None else f" (default {_wire(_exact(known.default))})"
    default = ", or 'auto'" if known.auto else default
    return f"{kind} from {_wire(_exact(known.min))} to {_wire(_exact(known.max))}{default}"


def _wire(number: Decimal) -> str:
    if number == number.to_integral_value():
        return str(int(number))
    return format(number.normalize(), "f")
