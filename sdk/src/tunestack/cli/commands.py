"""The commands, and the exit codes of errors."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.util import find_spec
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from tunestack.cli.groups import Group, examples
from tunestack.cli.interrupts import exit_at_interrupt
from tunestack.cli.output import INTERRUPTED, MESSAGES_AS_JSON, exit_code, note, note_error
from tunestack.errors import DataError, MissingExtraError, TunestackError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Modules are loaded when a command runs: `tunestack --help` and `tunestack data` need no AWS client.
_COMMANDS = {
    "alias": ("alias", "Set, list and delete aliases: your own names for commands."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
    "cost": ("cost", "Estimate the cost of a job and of serving its model, offline."),
    "custom-models": ("custom_models", "List, show and delete custom (fine-tuned) models."),
    "data": ("data", "Check, convert and split training data; no account is needed."),
    "doctor": ("doctor", "Check credentials, deployment, quotas and permissions before a job."),
    "endpoints": (
        "endpoints",
        "Start, list, invoke, update and stop endpoints of fine-tuned models.",
    ),
    "env": ("env", "Print the environment variables of a deployment."),
    "evaluate": ("evaluate", "Evaluate models on a held-out set, and compare them."),
    "jobs": ("jobs", "Submit, list, follow and cancel fine-tuning jobs."),
    "man": ("man", "Write the man pages of all commands to a folder."),
    "models": ("models", "List the base models that can be fine-tuned, or show one."),
    "promote": ("promote", "Serve a fine-tuned model on an endpoint with a name of your own."),
    "rollback": ("promote", "Serve the previous model of an endpoint again."),
    "runs": (
        "runs",
        "Start, list, follow and cancel runs: many jobs, submitted from the AWS account.",
    ),
    "submit": ("submit", "Submit a fine-tuning job: the short form of `jobs submit`."),
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


class _Commands(Group):
    """The commands of the SDK, and those that other distributions add."""

    modules = MappingProxyType({name: module for name, (module, _) in _COMMANDS.items()})

    def descriptions(self, ctx: click.Context) -> dict[str, str]:  # noqa: ARG002 - loads no command
        """Return the description of each command."""
        return _descriptions()

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - of click
        return sorted(_descriptions())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _plugin(cmd_name)

    def suggestions(self, ctx: click.Context) -> list[str]:
        from tunestack.cli.alias import read_aliases  # noqa: PLC0415 - for the message only

        return [*self.list_commands(ctx), *read_aliases()]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name can be an alias of the user."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from tunestack.cli.alias import expand  # noqa: PLC0415 - commands do not need it

            expanded = expand(args, to_complete=ctx.resilient_parsing)
            if expanded is not None:
                args = expanded
                MESSAGES_AS_JSON.set(_has_json(args))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands and aliases, and options."""
        from tunestack.cli.alias import complete_alias  # noqa: PLC0415 - for completion only

        return [*super().shell_complete(ctx, incomplete), *complete_alias(incomplete)]


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


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "tunestack sandbox -- python train.py",
        "tunestack submit train.jsonl --model nova-micro --wait",
        page="cli.md",
    ),
)
@click.option(
    "--debug",
    is_flag=True,
    help="Print each request to standard error: method, address and status.",
)
@click.version_option(package_name="tunestack", prog_name="tunestack")
@click.pass_context
def tunestack(ctx: click.Context, *, debug: bool) -> None:
    """Fine-tune language models on Amazon Bedrock and at OpenAI: manage jobs, custom models and endpoints."""
    if debug:
        from tunestack.cli.debug import print_requests  # noqa: PLC0415 - loads botocore

        ctx.with_resource(print_requests())


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (by default that of the process) and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    token = MESSAGES_AS_JSON.set(_has_json(arguments))
    try:
        return _run(arguments)
    finally:
        MESSAGES_AS_JSON.reset(token)


def _run(arguments: list[str]) -> int:
    if os.environ.get("_TUNESTACK_COMPLETE", "").startswith("powershell"):
        from tunestack.cli import powershell  # noqa: F401, PLC0415 - registers the shell

    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: note(str(message), level="warning")
            result = tunestack.main(arguments, prog_name="tunestack", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return error.exit_code
        name, code = type(error).__name__, error.exit_code
        note(error.format_message(), level="error", type=name, exit_code=code)
        if isinstance(error, click.UsageError) and error.ctx and not MESSAGES_AS_JSON.get():
            note(f"See `{error.ctx.command_path} --help`.")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        note(
            "interrupted; submitted jobs and started endpoints continue, and may be billed: "
            "`tunestack jobs list`, `tunestack endpoints list`",
            level="warning",
        )
        return INTERRUPTED
    except TunestackError as error:
        note_error(error)
        if isinstance(error, DataError) and error.report is not None:
            note(
                "`tunestack data report FILE --model MODEL` shows all problems; rules and their sources: "
                "docs/training-data-rules.md"
            )
        return exit_code(error)
    return result if isinstance(result, int) else 0


def _has_json(arguments: list[str]) -> bool:
    """Return whether messages are JSON, too; known before the arguments are parsed, for the errors of parsing."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own or "--format=json" in own or ("--format", "json") in pairwise(own)
