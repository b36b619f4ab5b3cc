"""What a job costs, and what serving its model costs, before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack.catalog import Serving
from tunestack.errors import ConfigError, CostError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack.catalog.model import Price

_MILLION = 1_000_000
_CENT = 0.01
_BY_THE_TOKEN = ("training", "input")
_EPOCHS, _MOST_EPOCHS, _LITTLE, _MUCH = 3, 25, 100, 25_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a job is billed, as far as prices are known; a list price, in US dollars, before taxes and discounts."""

    model: str
    tokens: int
    """Of the training file, estimated."""
    epochs: int
    training_usd: float | None
    """Once: tokens x epochs x price; `None` if the price is not known."""
    storage_usd_a_month: float | None
    """For as long as the tuned model is kept."""
    hosting_usd_an_hour: float | None
    """For each model unit of provisioned throughput; 0 where the model is served on demand, `None` if not known."""
    prices: Mapping[str, str]
    """Where each price is from, and how sure it is, by what is paid for."""

    def lines(self) -> Iterator[str]:
        """Say it in sentences."""
        trained = f"{self.tokens:,} tokens (estimated) x {self.epochs} epochs"
        yield f"training: {_usd(self.training_usd)}: {trained}{self._price('training')}"
        yield f"keeping the model: {_usd(self.storage_usd_a_month)} a month{self._price('storage')}"
        if self.hosting_usd_an_hour == 0:
            yield f"serving: nothing while idle; by the token{self._price('input')}"
        else:
            hour = _usd(self.hosting_usd_an_hour)
            yield f"serving: {hour} an hour for each model unit{self._price('provisioned')}"

    def _price(self, of: str) -> str:
        per = " per million tokens" if of in _BY_THE_TOKEN else ""
        return f" at {self.prices[of]}{per}" if of in self.prices else ""

    def require_below(self, most: float) -> None:
        """Refuse what would cost more than `most` US dollars to train, or of which nobody knows.

        Raises:
            CostError: it would.
        """
        if self.training_usd is None:
            raise CostError(
                f"nobody knows what training {self.model} costs, so max_cost can't be held: "
                "look at the vendor's pricing page, and leave max_cost out"
            )
        if self.training_usd > most:
            raise CostError(
                f"training would cost about {_usd(self.training_usd)} ({self.tokens:,} tokens x "
                f"{self.epochs} epochs{self._price('training')}), more than max_cost {_usd(most)}: "
                "use fewer epochs or less data, or allow more"
            )


def of_job(
    model: BaseModel, *, tokens: int, records: int, hyperparameters: Mapping[str, str]
) -> Cost:
    """Tell what a job costs.

    Args:
        model: what is tuned.
        tokens: of the training file.
        records: of the same.
        hyperparameters: all of them, as they are sent.
    """
    given = hyperparameters.get("epochCount") or hyperparameters.get("n_epochs")
    epochs = int(given) if given else _chosen(model, records)
    training = model.prices.get("training")
    idle_is_free = not {Serving.ON_DEMAND, Serving.DIRECT}.isdisjoint(model.serving)
    return Cost(
        model=model.key,
        tokens=tokens,
        epochs=epochs,
        training_usd=None if training is None else tokens * epochs * training.usd / _MILLION,
        storage_usd_a_month=_known(model.prices.get("storage")),
        hosting_usd_an_hour=0.0 if idle_is_free else _known(model.prices.get("provisioned")),
        prices={name: str(price) for name, price in model.prices.items()},
    )


def _chosen(model: BaseModel, records: int) -> int:
    """Tell how many epochs the vendor takes if nobody says, as far as that is known.

    Source: openai-cookbook, Chat_finetuning_data_prep (read 2026-11-22): three, more of little data, fewer of much.
    """
    if "n_epochs" not in model.hyperparameters or records < 1:
        return 1
    if records * _EPOCHS < _LITTLE:
        return min(_MOST_EPOCHS, -(-_LITTLE // records))
    if records * _EPOCHS > _MUCH:
        return max(1, _MUCH // records)
    return _EPOCHS


def checked_most(most: object) -> float:
    """Check a limit of costs.

    Raises:
        ConfigError: it is no amount of money.
    """
    if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most < 10**9:
        raise ConfigError(f"max_cost {shortened(most)} is not possible: use US dollars")
    return float(most)


def _known(price: Price | None) -> float | None:
    return None if price is None else price.usd


def _usd(amount: float | None) -> str:
    if amount is None:
        return "nobody knows how much"
    if 0 < amount < _CENT:
        return f"${amount:.6f}".rstrip("0")
    return f"${amount:,.2f}"
