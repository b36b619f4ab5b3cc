"""The commands, and the exit codes of errors."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec

import click

from tunestack.cli.interrupts import exit_at_interrupt
from tunestack.cli.output import INTERRUPTED, NO, PROVIDER, USAGE, note
from tunestack.errors import (
    ConfigError,
    DataError,
    EndpointError,
    GateError,
    JobError,
    MissingExtraError,
    TunestackError,
)

# Modules are loaded when a command runs: `tunestack --help` and `tunestack data` need no AWS client.
_COMMANDS = {
    "cost": ("cost", "Estimate the cost of a job and of serving its model, offline."),
    "custom-models": ("custom_models", "List, show and delete custom models."),
    "data": ("data", "Check, convert and split training data."),
    "doctor": ("doctor", "Check credentials, deployment, quotas and permissions before a job."),
    "endpoint": ("endpoints", "Start, list, invoke and stop endpoints of fine-tuned models."),
    "env": ("env", "Print the environment variables of a deployment."),
    "evaluate": ("evaluate", "Evaluate models on a held-out set, and compare them."),
    "job": ("jobs", "Show, watch or cancel a job."),
    "jobs": ("jobs", "List jobs."),
    "models": ("models", "List the models that can be fine-tuned, or show one."),
    "promote": ("promote", "Let an endpoint with a name of your own serve a fine-tuned model."),
    "rollback": ("promote", "Let an endpoint serve its previous model again."),
    "submit": ("jobs", "Submit a fine-tuning job."),
}
"""The module of each command, and its description in `tunestack --help`."""

_PLUGINS = "tunestack.commands"
"""The entry points of other distributions: each names a click command."""
_KNOWN_PLUGINS = {
    "sandbox": (
        "tunestack_sandbox",
        "Run a command with a local emulator of AWS and OpenAI, or start the emulator.",
    ),
}
"""The package of each command of another distribution, and its description."""


class _Commands(click.Group):
    """The commands of the SDK, and those that other distributions add."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - of click
        return sorted(_descriptions())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - of click
        if cmd_name not in _COMMANDS:
            return _plugin(cmd_name)
        with exit_at_interrupt():
            module = import_module(f"tunestack.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - of click
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_descriptions().items()))


def _descriptions() -> dict[str, str]:
    # Reading the entry points of all distributions would take as long as everything else here.
    installed = {name: row for name, row in _KNOWN_PLUGINS.items() if find_spec(row[0])}
    return {name: description for name, (_, description) in (_COMMANDS | installed).items()}


def _plugin(name: str) -> click.Command | None:
    from importlib import metadata  # noqa: PLC0415 - takes as long as all of `tunestack --help`

    for plugin in metadata.entry_points(group=_PLUGINS, name=name):
        try:
            with exit_at_interrupt():
                command: click.Command = plugin.load()
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"the command {name!r} needs the package {error.name!r}, which is not installed"
            ) from error
        return command
    if name in _KNOWN_PLUGINS:
        package = _KNOWN_PLUGINS[name][0].replace("_", "-")
        raise MissingExtraError(
            f"the package {package!r} is not installed: run `pip install ./{name}` in a clone of Tunestack's repository"
        )
    return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tunestack", prog_name="tunestack")
def tunestack() -> None:
    """Fine-tune language models on Amazon Bedrock and at OpenAI: manage jobs, custom models and endpoints."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (by default that of the process) and return its exit code."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")
            result = tunestack.main(arguments, prog_name="tunestack", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        note(
            "interrupted; submitted jobs and started endpoints continue, and may be billed: "
            "`tunestack jobs`, `tunestack endpoint list`"
        )
        return INTERRUPTED
    except TunestackError as error:
        note(f"error: {error}")
        return _exit_code(error)
    return result if isinstance(result, int) else 0


def _exit_code(error: TunestackError) -> int:
    if isinstance(error, DataError | JobError | EndpointError | GateError):
        return NO
    if isinstance(error, ConfigError | MissingExtraError):
        return USAGE
    return PROVIDER
