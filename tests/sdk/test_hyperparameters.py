"""Hyperparameters are converted to strings; invalid values are errors with the valid range."""

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import HyperparameterError
from tunestack.spec.hyperparameters import complete, resolve

NOVA, LLAMA = CATALOG["nova-micro"], CATALOG["llama-3-1-8b"]


@pytest.mark.parametrize(
    ("hyperparameters", "expected"),
    [
        ({}, {"epochCount": "2"}),
        ({"epochCount": 3}, {"epochCount": "3"}),
        ({"epochCount": "3"}, {"epochCount": "3"}),
        ({"epochCount": 3.0}, {"epochCount": "3"}),
        ({"learningRate": 1e-5}, {"epochCount": "2", "learningRate": "0.00001"}),
        ({"learningRate": "1e-5"}, {"epochCount": "2", "learningRate": "0.00001"}),
        (
            {"learningRate": 1e-6, "batchSize": 64},
            {"batchSize": "64", "epochCount": "2", "learningRate": "0.000001"},
        ),
    ],
)
def test_numbers_are_converted_to_decimal_strings(hyperparameters, expected):
    assert expected == resolve(NOVA, hyperparameters)


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"epochCount": 6}, "epochCount=6 is out of range: use an integer from 1 to 5"),
        ({"epochCount": 0}, "out of range"),
        ({"epochCount": 1.5}, "is not an integer"),
        ({"epochCount": True}, "is not a number"),
        ({"epochCount": None}, "is not a number"),
        ({"epochCount": "many"}, "is not a number"),
        ({"learningRate": float("nan")}, "is not a number"),
        ({"learningRate": float("inf")}, "is not a number"),
        ({"learningRate": 1.1e-4}, "from 0.000001 to 0.0001 "),
        ({"batch_size": 4}, "did you mean 'batchSize'"),
        ({"learningrate": 4}, "did you mean 'learningRate'"),
        ({"temperature": 1}, "use epochCount, learningRate"),
    ],
)
def test_error_about_an_invalid_value_has_the_valid_ones(hyperparameters, message):
    with pytest.raises(HyperparameterError, match=message):
        resolve(NOVA, hyperparameters)


def test_error_names_all_invalid_values():
    with pytest.raises(
        HyperparameterError, match="epochCount=9.*unknown hyperparameter 'foo'.*learningRate='x'"
    ):
        resolve(NOVA, {"epochCount": 9, "foo": 1, "learningRate": "x"})


def test_ranges_depend_on_the_model_family():
    assert resolve(LLAMA, {"epochCount": 10, "batchSize": 1}) == {
        "epochCount": "10",
        "batchSize": "1",
    }
    with pytest.raises(HyperparameterError, match="batchSize=4 is out of range"):
        resolve(LLAMA, {"batchSize": 4})
    with pytest.raises(HyperparameterError, match="learningRateWarmupSteps"):
        resolve(LLAMA, {"learningRateWarmupSteps": 4})


@pytest.mark.parametrize("model", list(CATALOG), ids=lambda model: model.key)
def test_every_default_is_valid(model):
    defaults = {
        name: row.default for name, row in model.hyperparameters.items() if row.default is not None
    }
    assert defaults.keys() <= resolve(model, defaults).keys()


@pytest.mark.parametrize(
    "hyperparameters", [["epochCount"], "epochCount=3", {1: 2}, {None: 2}, {"epochCount": 10**5000}]
)
def test_invalid_hyperparameters_raise_hyperparameter_error(hyperparameters):
    with pytest.raises(HyperparameterError):
        resolve(NOVA, hyperparameters)


def test_explicit_defaults_are_the_same_as_missing_values():
    defaults = {
        "epochCount": 2,
        "learningRate": 1e-5,
        "learningRateWarmupSteps": 10,
        "batchSize": 1,
    }
    assert complete(NOVA, resolve(NOVA, {})) == complete(NOVA, resolve(NOVA, defaults))
