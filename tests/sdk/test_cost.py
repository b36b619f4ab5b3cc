"""Cost estimates before submission, and the limit max_cost."""

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError, CostError
from tunestack.spec.cost import of_job


def test_training_cost_is_tokens_times_epochs_times_price():
    cost = of_job(
        CATALOG["nova-micro"], tokens=2_000_000, records=10, hyperparameters={"epochCount": "3"}
    )
    assert pytest.approx(cost.training_usd) == 6.0
    assert cost.storage_usd_a_month == 1.95
    assert cost.hosting_usd_an_hour == 0.0
    training = next(cost.lines())
    assert training.startswith(
        "training: $6.00 ($4.00 to $8.00): 2,000,000 tokens (estimated) x 3 epochs at $1.00"
    )
    assert training.endswith("confidence)")


def test_hourly_serving_cost_is_shown():
    cost = of_job(
        CATALOG["llama-3-1-70b"], tokens=10, records=10, hyperparameters={"epochCount": "1"}
    )
    assert cost.hosting_usd_an_hour == 24.0
    assert "serving: $24.00 an hour for each model unit" in "\n".join(cost.lines())


def test_missing_price_is_shown_as_unknown():
    cost = of_job(CATALOG["nova-pro"], tokens=10, records=10, hyperparameters={})
    assert cost.training_usd is None
    assert "training: an unknown amount" in "\n".join(cost.lines())
    with pytest.raises(CostError, match="the training price of nova-pro is unknown"):
        cost.require_below(10)


@pytest.mark.parametrize("model", CATALOG, ids=lambda model: model.key)
def test_every_model_has_three_lines_of_cost(model):
    lines = list(of_job(model, tokens=1000, records=10, hyperparameters={}).lines())
    assert len(lines) == 3


def test_job_above_max_cost_is_not_submitted(tuner, chat, list_training_files):
    before = list_training_files()
    with pytest.raises(CostError, match=r"about \$0\.00\d+ .* more than max_cost \$0\.00001:"):
        tuner.submit("nova-micro", chat, max_cost=0.00001)
    assert before == list_training_files()
    assert list(tuner.jobs()) == []
    assert tuner.submit("nova-micro", chat, max_cost=1)


@pytest.mark.parametrize("max_cost", [-1, "5", True, float("nan"), float("inf")])
def test_invalid_max_cost_is_rejected(tuner, chat, max_cost):
    with pytest.raises(ConfigError, match="invalid max_cost .*: use an amount of US dollars"):
        tuner.submit("nova-micro", chat, max_cost=max_cost)


def test_estimate_uploads_nothing(tuner, chat, list_training_files):
    before = list_training_files()
    cost = tuner.cost("nova-micro", chat, hyperparameters={"epochCount": 5})
    assert (cost.epochs, cost.model) == (5, "nova-micro")
    assert cost.tokens > 100
    assert before == list_training_files()
