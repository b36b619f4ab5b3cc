"""What a job costs is said before it is paid, and held against what it may."""

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError, CostError
from tunestack.spec.cost import of_job


def test_training_is_tokens_times_epochs_times_price():
    cost = of_job(
        CATALOG["nova-micro"], tokens=2_000_000, records=10, hyperparameters={"epochCount": "3"}
    )
    assert pytest.approx(cost.training_usd) == 6.0
    assert cost.storage_usd_a_month == 1.95
    assert cost.hosting_usd_an_hour == 0.0
    training = next(cost.lines())
    assert training.startswith("training: $6.00: 2,000,000 tokens (estimated) x 3 epochs at $1.00")
    assert training.endswith("confidence) per million tokens")


def test_what_is_served_by_the_hour_says_so():
    cost = of_job(
        CATALOG["llama-3-1-70b"], tokens=10, records=10, hyperparameters={"epochCount": "1"}
    )
    assert cost.hosting_usd_an_hour == 24.0
    assert "serving: $24.00 an hour for each model unit" in "\n".join(cost.lines())


def test_what_nobody_knows_is_said_to_be_unknown():
    cost = of_job(CATALOG["nova-pro"], tokens=10, records=10, hyperparameters={})
    assert cost.training_usd is None
    assert "training: an unknown amount" in "\n".join(cost.lines())
    with pytest.raises(CostError, match="the training price of nova-pro is unknown"):
        cost.require_below(10)


@pytest.mark.parametrize("model", CATALOG, ids=lambda model: model.key)
def test_every_model_has_something_to_say(model):
    lines = list(of_job(model, tokens=1000, records=10, hyperparameters={}).lines())
    assert len(lines) == 3


def test_a_job_that_costs_too_much_is_not_submitted(tuner, chat, objects):
    before = objects()
    with pytest.raises(CostError, match=r"about \$0\.00\d+ .* more than max_cost \$0\.00001:"):
        tuner.submit("nova-micro", chat, max_cost=0.00001)
    assert before == objects()
    assert list(tuner.jobs()) == []
    assert tuner.submit("nova-micro", chat, max_cost=1)


@pytest.mark.parametrize("most", [-1, "5", True, float("nan"), float("inf")])
def test_a_limit_that_is_no_money_is_refused(tuner, chat, most):
    with pytest.raises(ConfigError, match="invalid max_cost .*: use an amount of US dollars"):
        tuner.submit("nova-micro", chat, max_cost=most)


def test_an_estimate_uploads_nothing(tuner, chat, objects):
    before = objects()
    cost = tuner.cost("nova-micro", chat, hyperparameters={"epochCount": 5})
    assert (cost.epochs, cost.model) == (5, "nova-micro")
    assert cost.tokens > 100
    assert before == objects()
