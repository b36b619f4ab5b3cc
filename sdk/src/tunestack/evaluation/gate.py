"""Gates: conditions on the results, such as `exact_match>=base+0.05`."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CHANGES: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")

OTHER_QUANTITIES = ("cost", "latency_p50", "latency_p95", "errors")
"""What gates can compare beside metrics: US dollars per 1,000 requests, seconds, and the number of failed requests."""

GRAMMAR = (
    "QUANTITY >= BOUND, with >=, <=, > or <; QUANTITY is a metric or one of "
    f"{', '.join(OTHER_QUANTITIES)}; BOUND is a number, another model, or that model with + - or * and a number: "
    "exact_match>=base+0.05, cost<=base*0.5"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A condition on the evaluated model."""

    text: str
    quantity: str
    comparison: str
    model: str | None = None
    """The model that it is compared with; `None` for a number."""
    change: str = "+"
    number: float = 0.0

    def check(self, value: Callable[[str, str | None], float | None]) -> GateResult:
        """Check the condition.

        Args:
            value: returns a quantity of a model (`None` for the evaluated one), or `None` if it is unknown.
        """
        actual, bound = value(self.quantity, None), self.number
        if self.model is not None:
            other = value(self.quantity, self.model)
            if other is None:
                return self._unknown(self.model)
            bound = _CHANGES[self.change](other, self.number)
        if actual is None or math.isnan(actual):
            return self._unknown("the model")
        # The sum of decimal fractions, such as 0.6 + 0.05, is not exact.
        is_equal = math.isclose(actual, bound, rel_tol=1e-9, abs_tol=1e-12)
        passed = (
            "=" in self.comparison if is_equal else _COMPARISONS[self.comparison](actual, bound)
        )
        word = "" if passed else " not"
        return GateResult(
            gate=self.text,
            passed=passed,
            detail=f"{self.quantity} {actual:.4g} is{word} {self.comparison} {bound:.4g}",
        )

    def _unknown(self, name: str) -> GateResult:
        return GateResult(
            gate=self.text, passed=False, detail=f"{self.quantity} of {name} is unknown"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """Whether a condition holds."""

    gate: str
    passed: bool
    detail: str


def parse_gate(text: str, *, metrics: Collection[str], models: Collection[str]) -> Gate:
    """Parse a condition.

    Args:
        text: the condition.
        metrics: the names of the metrics.
        models: the names of the other models.

    Raises:
        ConfigError: it is invalid; the message says what is valid.
    """
    quantities = (*metrics, *OTHER_QUANTITIES)
    compact = text.strip()
    quantity = _longest(compact, quantities)
    if quantity is None:
        raise _invalid(text, f"it must start with one of {', '.join(quantities)}")
    rest = compact[len(quantity) :].lstrip()
    comparison = next((symbol for symbol in _COMPARISONS if rest.startswith(symbol)), None)
    if comparison is None:
        raise _invalid(text, f"expected >=, <=, > or < after {quantity!r}")
    bound = rest[len(comparison) :].strip()
    gate = Gate(text=compact, quantity=quantity, comparison=comparison)
    if _NUMBER.fullmatch(bound):
        return replace(gate, number=float(bound))
    model = _longest(bound, models)
    if model is None:
        names = f", or one of {', '.join(models)}" if models else ""
        raise _invalid(text, f"expected a number{names} after {comparison!r}")
    change = bound[len(model) :].strip()
    if not change:
        return replace(gate, model=model)
    number = change[1:].strip()
    if change[0] not in _CHANGES or not _NUMBER.fullmatch(number):
        raise _invalid(text, f"expected +, - or * and a number after {model!r}")
    return replace(gate, model=model, change=change[0], number=float(number))


def _longest(text: str, names: Collection[str]) -> str | None:
    """Return the longest name that the text starts with: one name may be the beginning of another."""
    return max((name for name in names if text.startswith(name)), key=len, default=None)


def _invalid(text: str, problem: str) -> ConfigError:
    return ConfigError(f"invalid condition {shortened(text)}: {problem}; expected {GRAMMAR}")
