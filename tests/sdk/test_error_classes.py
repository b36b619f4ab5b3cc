"""Every error can be pickled and copied, with its message and its attributes."""

import copy
import inspect
import pickle

import pytest

from tunestack import errors

ATTRIBUTES = {
    "job_id": "some-job",
    "endpoint_id": "some-endpoint",
    "reason": "the provider's text",
    "code": "AccessDenied",
    "request_id": "0123",
    "problems": ("line 1: empty", "line 2: empty"),
}
CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.TunestackError)
]
COPIES = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "pickle, oldest": lambda error: pickle.loads(pickle.dumps(error, 0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def create_error(kind):
    parameters = inspect.signature(kind.__init__).parameters
    return kind(
        "some message", **{name: ATTRIBUTES[name] for name in parameters if name in ATTRIBUTES}
    )


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("method", COPIES)
def test_copied_error_is_equal(kind, method):
    error = create_error(kind)
    error.add_note("some note")
    copied = COPIES[method](error)
    assert type(copied) is kind
    assert str(error) == str(copied)
    assert str(copied).startswith("some message")
    assert repr(error) == repr(copied)
    assert error.args == copied.args
    assert vars(error) == vars(copied)
    assert copied.__cause__ is None


def test_all_error_classes_are_tested():
    assert len(CLASSES) > 20
    assert errors.JobStalledError in CLASSES
