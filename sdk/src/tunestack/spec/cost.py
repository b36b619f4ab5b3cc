"""Estimate the cost of a job, and of storing and serving its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack._utils.html import rows_table
from tunestack.catalog import Serving
from tunestack.errors import CostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.catalog.model import Price, PriceKind

_MILLION = 1_000_000
_CENT = 0.01
_FEWEST_TOKENS, _MOST_TOKENS = 4 / 6, 4 / 3
"""The range of tokens, as a share of the estimate: AWS's user guide counts six characters per token, its script for Claude
three; the estimate counts four."""
_EPOCHS, _MOST_EPOCHS, _LITTLE, _MUCH = 3, 25, 100, 25_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The estimated cost of a job, by list prices in US dollars, before taxes and discounts."""

    model: str
    tokens: int
    """The estimated tokens of the training file."""
    epochs: int
    training_usd: float | None
    """Tokens x epochs x price, billed once; `None` if the price is unknown."""
    storage_usd_a_month: float | None
    """Billed each month until the custom model is deleted; `None` if the price is unknown."""
    hosting_usd_an_hour: float | None
    """Billed for each model unit of provisioned throughput; 0 if the model is served on demand, `None` if unknown."""
    prices: Mapping[str, str]
    """Each price with its source (the price list or the catalog) and date, by what is billed."""

    @property
    def training_usd_range(self) -> tuple[float, float] | None:
        """The range of the training cost, because the tokens are estimated; `None` if the price is unknown."""
        if self.training_usd is None:
            return None
        return self.training_usd * _FEWEST_TOKENS, self.training_usd * _MOST_TOKENS

    def lines(self) -> Iterator[str]:
        """Yield the estimate as lines of text."""
        trained = f"{self.tokens:,} tokens (estimated) x {self.epochs} epochs"
        between = self.training_usd_range
        spread = "" if between is None else f" ({usd_text(between[0])} to {usd_text(between[1])})"
        yield f"training: {usd_text(self.training_usd)}{spread}: {trained}{self._token_price('training')}"
        # The price of the storage of one model is its cost.
        storage = self.prices.get("storage", usd_text(self.storage_usd_a_month))
        yield f"storing the model: {_with_unit(storage, 'a month')}"
        if self.hosting_usd_an_hour == 0:
            yield f"serving: nothing while idle; by the token{self._token_price('input')}"
        else:
            hourly = self.prices.get("provisioned", usd_text(self.hosting_usd_an_hour))
            yield f"serving: {_with_unit(hourly, 'an hour for each model unit')}"

    def _repr_html_(self) -> str:
        """Show the estimate in a notebook."""
        rows = (line.partition(": ") for line in self.lines())
        title = f"Estimated cost of fine-tuning {self.model}"
        return rows_table(title, (), ((what, text) for what, _, text in rows))

    def _token_price(self, of: str) -> str:
        return (
            f" at {_with_unit(self.prices[of], 'per million tokens')}" if of in self.prices else ""
        )

    def require_below(self, most: float) -> None:
        """Check the training cost against a limit.

        Args:
            most: the limit in US dollars.

        Raises:
            CostError: training costs more, or its price is unknown.
        """
        if self.training_usd is None:
            raise CostError(
                f"the training price of {self.model} is unknown, so max_cost can't be checked: "
                "see the provider's pricing page, and remove max_cost"
            )
        if self.training_usd > most:
            raise CostError(
                f"training would cost about {usd_text(self.training_usd)} ({self.tokens:,} tokens x "
                f"{self.epochs} epochs{self._token_price('training')}), more than max_cost {usd_text(most)}: "
                "use fewer epochs or less data, or raise max_cost"
            )


def of_job(
    model: BaseModel,
    *,
    tokens: int,
    records: int,
    hyperparameters: Mapping[str, str],
    prices: Mapping[PriceKind, Price] | None = None,
) -> Cost:
    """Estimate the cost of a job.

    Args:
        model: the base model.
        tokens: the tokens of the training file.
        records: the records of the training file.
        hyperparameters: all hyperparameters, with defaults.
        prices: the prices; those of the catalog by default.
    """
    prices = model.prices if prices is None else prices
    given = hyperparameters.get("epochCount") or hyperparameters.get("n_epochs")
    epochs = int(given) if given else _default_epochs(model, records)
    training = prices.get("training")
    idle_is_free = not {Serving.ON_DEMAND, Serving.DIRECT}.isdisjoint(model.serving)
    return Cost(
        model=model.key,
        tokens=tokens,
        epochs=epochs,
        training_usd=None if training is None else tokens * epochs * training.usd / _MILLION,
        storage_usd_a_month=_usd_of(prices.get("storage")),
        hosting_usd_an_hour=0.0 if idle_is_free else _usd_of(prices.get("provisioned")),
        prices={name: str(price) for name, price in prices.items()},
    )


def _default_epochs(model: BaseModel, records: int) -> int:
    """Return the number of epochs that OpenAI chooses: 3, more for few records, fewer for many; 1 on Bedrock.

    Source: openai-cookbook, Chat_finetuning_data_prep (read 2026-11-22).
    """
    if "n_epochs" not in model.hyperparameters or records < 1:
        return 1
    if records * _EPOCHS < _LITTLE:
        return min(_MOST_EPOCHS, -(-_LITTLE // records))
    if records * _EPOCHS > _MUCH:
        return max(1, _MUCH // records)
    return _EPOCHS


def _usd_of(price: Price | None) -> float | None:
    return None if price is None else price.usd


def _with_unit(price: str, unit: str) -> str:
    """Insert the unit of a price before its source."""
    amount, separator, source = price.partition(" (")
    return f"{amount} {unit}{separator}{source}"


def usd_text(amount: float | None) -> str:
    """Format an amount of US dollars, which is negative for a credit; `None` is unknown."""
    if amount is None:
        return "an unknown amount"
    size, sign = abs(amount), "-" if amount < 0 else ""
    if 0 < size < 1 / _MILLION:
        return "less than $0.000001"
    if 0 < size < _CENT:
        return f"{sign}${size:.6f}".rstrip("0")
    return f"{sign}${size:,.2f}"
