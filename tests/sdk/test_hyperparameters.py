"""Numbers in, strings on the wire; everything else is an error that names the range."""

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import HyperparameterError
from tunestack.spec.hyperparameters import complete, resolve

NOVA, LLAMA = CATALOG["nova-micro"], CATALOG["llama-3-1-8b"]


@pytest.mark.parametrize(
    ("given", "wire"),
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
def test_numbers_become_plain_decimal_strings(given, wire):
    assert wire == resolve(NOVA, given)


@pytest.mark.parametrize(
    ("given", "words"),
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
def test_a_mistake_says_what_would_work(given, words):
    with pytest.raises(HyperparameterError, match=words):
        resolve(NOVA, given)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(
        HyperparameterError, match="epochCount=9.*unknown hyperparameter 'foo'.*learningRate='x'"
    ):
        resolve(NOVA, {"epochCount": 9, "foo": 1, "learningRate": "x"})


def test_each_family_has_its_own_ranges():
    assert resolve(LLAMA, {"epochCount": 10, "batchSize": 1}) == {
        "epochCount": "10",
        "batchSize": "1",
    }
    with pytest.raises(HyperparameterError, match="batchSize=4 is out of range"):
        resolve(LLAMA, {"batchSize": 4})
    with pytest.raises(HyperparameterError, match="learningRateWarmupSteps"):
        resolve(LLAMA, {"learningRateWarmupSteps": 4})


@pytest.mark.parametrize("model", list(CATALOG), ids=lambda model: model.key)
def test_every_default_is_within_its_own_range(model):
    defaults = {
        name: row.default for name, row in model.hyperparameters.items() if row.default is not None
    }
    assert defaults.keys() <= resolve(model, defaults).keys()


@pytest.mark.parametrize(
    "given", [["epochCount"], "epochCount=3", {1: 2}, {None: 2}, {"epochCount": 10**5000}]
)
def test_what_are_no_hyperparameters_is_one_clear_error(given):
    with pytest.raises(HyperparameterError):
        resolve(NOVA, given)


def test_a_default_left_out_and_one_spelled_out_are_the_same():
    spelled = {"epochCount": 2, "learningRate": 1e-5, "learningRateWarmupSteps": 10, "batchSize": 1}
    assert complete(NOVA, resolve(NOVA, {})) == complete(NOVA, resolve(NOVA, spelled))
