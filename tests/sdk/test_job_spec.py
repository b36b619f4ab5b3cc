"""The arguments of a job are defined once."""

import inspect
from dataclasses import fields

import click
import pytest

from tunestack import Tuner
from tunestack.catalog import CATALOG
from tunestack.cli.commands import tunestack
from tunestack.dspy.arguments import SUBMIT_OPTIONS
from tunestack.errors import ConfigError
from tunestack.spec.job_spec import JobSpec, SubmitArguments

CLI_NAMES = {"hyperparameters": "values"}


def test_typed_arguments_are_the_fields_of_job_spec():
    names = {field.name: field.type for field in fields(JobSpec)} | {"model": None, "data": None}
    arguments = {
        name: annotation.__forward_arg__
        for name, annotation in SubmitArguments.__annotations__.items()
    }
    assert arguments.keys() == names.keys() - {"model", "data"}
    assert {name: names[name] for name in arguments} == arguments


@pytest.mark.parametrize("method", [Tuner.submit, Tuner.cost, Tuner.check])
def test_every_method_has_the_same_arguments(method):
    annotation = inspect.signature(method).parameters["arguments"].annotation
    assert annotation == "Unpack[SubmitArguments]"


def test_dspy_supports_all_options_without_arguments_of_their_own():
    assert set(SUBMIT_OPTIONS) == SubmitArguments.__annotations__.keys() - {
        "data_format",
        "hyperparameters",
    }


@pytest.mark.parametrize("command", ["submit", "cost"])
def test_command_line_has_an_option_for_each_argument(command):
    context = click.Context(tunestack)
    subcommand = tunestack.get_command(context, command)
    assert subcommand is not None
    params = {param.name for param in subcommand.params}
    names = {CLI_NAMES.get(name, name) for name in SubmitArguments.__annotations__}
    assert names <= params


def test_misspelled_argument_raises_type_error(tuner, chat):
    with pytest.raises(TypeError, match="max_costs"):
        tuner.submit("nova-micro", chat, max_costs=5)


@pytest.mark.parametrize(
    ("arguments", "method", "record_format"),
    [
        ({}, "supervised", None),
        ({"method": "dpo"}, "dpo", "preference"),
        ({"record_format": "preference"}, "dpo", "preference"),
        ({"record_format": "chat"}, "supervised", "chat"),
    ],
)
def test_method_and_record_format_imply_each_other(arguments, method, record_format):
    spec = JobSpec(model="gpt-4o-mini-2024-07-18", **arguments)
    assert (spec.training_method, spec.written_format) == (method, record_format)


@pytest.mark.parametrize(
    ("queue", "seconds"), [(False, None), (None, None), (True, 86400), (90, 90), (0, 0)]
)
def test_queue_is_converted_to_a_timeout(queue, seconds):
    assert JobSpec(model="nova-micro", queue=queue).queue_timeout == seconds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_format": ["chat"]}, "invalid data_format .*: expected text, not list"),
        ({"ignore": 5}, "invalid ignore 5: use a list of rules"),
        ({"ignore": [[]]}, "invalid ignore"),
        ({"mapping": 5}, "invalid mapping 5: use a mapping of names to fields"),
        ({"mapping": {"prompt": 5}}, "invalid mapping"),
    ],
)
def test_arguments_of_other_types_are_errors(arguments, message):
    with pytest.raises(ConfigError, match=message):
        JobSpec(model="nova-micro", **arguments)


def test_specification_is_checked_for_a_model():
    spec = JobSpec(model="nova-micro", seed=1)
    spec.check(CATALOG["gpt-4o-mini-2024-07-18"])
    with pytest.raises(ConfigError, match="for OpenAI only"):
        spec.check(CATALOG["nova-micro"])
