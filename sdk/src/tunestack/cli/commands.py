"""The commands, and what their errors mean to a shell."""

from __future__ import annotations

import warnings

import click

from tunestack.cli.cost import cost
from tunestack.cli.custom_models import custom_models
from tunestack.cli.data import data
from tunestack.cli.doctor import doctor
from tunestack.cli.endpoints import endpoint
from tunestack.cli.env import env
from tunestack.cli.jobs import job, jobs, submit
from tunestack.cli.models import models
from tunestack.cli.output import INTERRUPTED, NO, USAGE, VENDOR, note
from tunestack.cli.sandbox import sandbox
from tunestack.errors import (
    ConfigError,
    DataError,
    EndpointError,
    JobError,
    MissingExtraError,
    TunestackError,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tunestack", prog_name="tunestack")
def tunestack() -> None:
    """Fine-tune language models on Amazon Bedrock: submit, track, serve and stop."""


for command in (
    *(env, doctor, models, data, cost, submit, jobs, job, custom_models, endpoint),
    sandbox,
):
    tunestack.add_command(command)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (the process's own if not given) and return its exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")
            result = tunestack.main(arguments, prog_name="tunestack", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        note(
            "interrupted; what was submitted or started goes on, and may be billed: "
            "`tunestack jobs`, `tunestack endpoint list`"
        )
        return INTERRUPTED
    except TunestackError as error:
        note(f"error: {error}")
        return _code(error)
    return result if isinstance(result, int) else 0


def _code(error: TunestackError) -> int:
    if isinstance(error, DataError | JobError | EndpointError):
        return NO
    if isinstance(error, ConfigError | MissingExtraError):
        return USAGE
    return VENDOR
