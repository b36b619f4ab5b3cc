"""The commands, and what their errors mean to a shell."""

from __future__ import annotations

import warnings
from importlib import metadata

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
from tunestack.errors import (
    ConfigError,
    DataError,
    EndpointError,
    JobError,
    MissingExtraError,
    TunestackError,
)

_PLUGINS = "tunestack.commands"
"""The entry points of other distributions: each names a click command."""


class _Commands(click.Group):
    """The commands of the SDK, and those that other distributions add, such as `sandbox`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *metadata.entry_points(group=_PLUGINS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if command := super().get_command(ctx, cmd_name):
            return command
        for plugin in metadata.entry_points(group=_PLUGINS, name=cmd_name):
            try:
                loaded: click.Command = plugin.load()
            except ModuleNotFoundError as error:
                raise MissingExtraError(
                    f"the command {cmd_name!r} needs the package {error.name!r}, which is not installed"
                ) from error
            return loaded
        if cmd_name == "sandbox":
            raise MissingExtraError(
                "the package 'tunestack-sandbox' is not installed: run `pip install ./sandbox` in the "
                "repository of tunestack"
            )
        return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tunestack", prog_name="tunestack")
def tunestack() -> None:
    """Fine-tune language models on Amazon Bedrock and OpenAI: submit, track, serve and stop."""


for command in (env, doctor, models, data, cost, submit, jobs, job, custom_models, endpoint):
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
