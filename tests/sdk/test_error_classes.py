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
AGAIN = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "pickle, oldest": lambda error: pickle.loads(pickle.dumps(error, 0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def made(kind):
    parameters = inspect.signature(kind.__init__).parameters
    return kind(
        "some message", **{name: ATTRIBUTES[name] for name in parameters if name in ATTRIBUTES}
    )


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", AGAIN)
def test_an_error_stays_the_same(kind, way):
    error = made(kind)
    error.add_note("some note")
    again = AGAIN[way](error)
    assert type(again) is kind
    assert str(error) == str(again)
    assert str(again).startswith("some message")
    assert repr(error) == repr(again)
    assert error.args == again.args
    assert vars(error) == vars(again)
    assert again.__cause__ is None


def test_every_class_is_found():
    assert len(CLASSES) > 20
    assert errors.JobStalledError in CLASSES
