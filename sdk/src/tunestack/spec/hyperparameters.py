"""Check hyperparameters, and convert them to what the provider expects."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tunestack.catalog import NumberType
from tunestack.errors import HyperparameterError, shortened

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel, Hyperparameter


def resolve(model: BaseModel, given: Mapping[str, object]) -> dict[str, str]:
    """Check hyperparameters and return them as strings, which Bedrock expects.

    `epochCount` is always included, by default with the model's default: it decides the price, and users reported that Nova
    rejects an empty map.

    Raises:
        HyperparameterError: unknown names, values that are not numbers, or out of range; the message has all of them.
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
            mistakes.append(f"{known.name} is specified twice, also as {shortened(name)}")
            continue
        number = _number(value)
        problem = _problem(known, number)
        if number is None or problem:
            mistakes.append(f"{name}={shortened(value)} is {problem}: use {_range(known)}")
        else:
            values[known.name] = number
    if mistakes:
        raise HyperparameterError(f"hyperparameters of {model.name}: {'; '.join(mistakes)}")
    epochs = model.hyperparameters.get("epochCount")
    if epochs is not None and epochs.default is not None:
        values.setdefault("epochCount", _exact(epochs.default))
    return {name: _wire(values[name]) for name in sorted(values)}


def complete(model: BaseModel, wire: Mapping[str, str]) -> dict[str, str]:
    """Return all hyperparameters: those given, and the model's defaults."""
    defaults = {
        name: _wire(_exact(known.default))
        for name, known in model.hyperparameters.items()
        if known.default is not None
    }
    return defaults | dict(wire)


def _problem(known: Hyperparameter, number: Decimal | None) -> str | None:
    if number is None:
        return "not a number"
    if known.type is NumberType.INTEGER and number != number.to_integral_value():
        return "not an integer"
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
    return f"unknown hyperparameter {shortened(name)}: {hint}use {', '.join(model.hyperparameters)}"


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def _exact(value: float) -> Decimal:
    # By its shortest text, so that 1e-5 is exact, and not the nearest binary fraction.
    return Decimal(repr(value))


def _range(known: Hyperparameter) -> str:
    kind = "an integer" if known.type is NumberType.INTEGER else "a number"
    default = "" if known.default is None else f" (default {_wire(_exact(known.default))})"
    default = ", or 'auto'" if known.auto else default
    return f"{kind} from {_wire(_exact(known.min))} to {_wire(_exact(known.max))}{default}"


def _wire(number: Decimal) -> str:
    if number == number.to_integral_value():
        return str(int(number))
    return format(number.normalize(), "f")
