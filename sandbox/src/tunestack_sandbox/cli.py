"""The command `tunestack sandbox`: run a command in a local AWS and OpenAI."""

from __future__ import annotations

import shutil
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tunestack.deployment import ENVIRONMENT_FORMATS, format_environment
from tunestack.errors import ConfigError
from tunestack_sandbox.environment_variables import build_unset_command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from types import FrameType

    from tunestack_sandbox import Sandbox

_UNSET_COMMANDS = {
    "sh": "unset {}",
    "powershell": "Remove-Item Env:{} -ErrorAction SilentlyContinue",
}
"""The commands to remove a variable, by shell."""
_INTERRUPTED_EXIT_CODE = 130
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(
    "sandbox",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  $ tunestack sandbox -- python train.py
  $ tunestack sandbox --speed 100 --format dotenv

\b
Documentation: https://github.com/tunestack/tunestack/blob/main/docs/sandbox.md""",
)
@click.option("--empty", is_flag=True, help="Start with an empty account, for `cdk deploy`.")
@click.option(
    "--region", default="us-east-1", show_default=True, help="AWS region of the environment."
)
@click.option(
    "--speed",
    default=1000.0,
    show_default=True,
    help="Factor by which jobs and endpoints are faster than on AWS.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Simulate a date (UTC), for models that are retired today.",
)
@click.option(
    "--enforce-iam", is_flag=True, help="Evaluate policies in all services; serves HTTPS."
)
@click.option(
    "--no-model-units",
    is_flag=True,
    help="Set the quota of model units to 0, as in a new AWS account.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[,KEY=VALUE...]",
    help="Inject a fault: throttle,operation=List*,rate=0.1 (see docs/sandbox.md).",
)
@click.option("--seed", default=0, show_default=True, help="The random seed for faults.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="HOST",
    help="A host of AWS, OpenAI or Azure that the sandbox's proxy does not refuse.",
)
@click.option(
    "form",
    "--format",
    type=click.Choice(ENVIRONMENT_FORMATS),
    default="sh",
    show_default=True,
    help="The format of the output.",
)
@click.option("as_json", "--json", is_flag=True, help="The same as --format json.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def sandbox_command(
    region: str,
    speed: float,
    as_of: datetime | None,
    faults: tuple[str, ...],
    seed: int,
    allowed_hosts: tuple[str, ...],
    form: str,
    command: tuple[str, ...],
    *,
    empty: bool,
    enforce_iam: bool,
    no_model_units: bool,
    as_json: bool,
) -> int:
    """Run COMMAND with a local emulator of AWS and OpenAI, or start the emulator.

    Without a command, the environment variables are printed, and the emulator runs until Ctrl-C.
    """
    from tunestack_sandbox import Quotas, Sandbox  # noqa: PLC0415 - not for `tunestack --help`

    if command and shutil.which(command[0]) is None:
        raise ConfigError(
            f"can't run {command[0]!r}: the program does not exist, or is not executable"
        )
    sandbox = Sandbox(
        region=region,
        empty=empty,
        speed=speed,
        as_of=as_of and as_of.replace(tzinfo=UTC, hour=12),
        enforce_iam=enforce_iam,
        quotas=Quotas(model_units=0, model_units_per_model=0) if no_model_units else None,
        seed=seed,
        allowed_hosts=allowed_hosts,
    )
    interrupts = _record_interrupts()
    try:
        for fault in faults:
            _add_fault(sandbox, fault)
        with sandbox:
            if interrupts:
                raise KeyboardInterrupt  # noqa: TRY301 - one that Python lost
            if command:
                return _run(command, sandbox)
            _serve(sandbox, "json" if as_json else form)
    except KeyboardInterrupt:
        _print_note("interrupted; the sandbox was stopped")
        return _INTERRUPTED_EXIT_CODE
    finally:
        sandbox.stop()
    return 0


def _record_interrupts() -> list[int]:
    """Record each Ctrl-C, beside the KeyboardInterrupt, which Python loses if it is raised in a callback."""
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return interrupts


def _handle_stop_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Handle the signals that stop a process; those that are ignored stay so, as with `nohup` and in the background of a script."""
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _add_fault(sandbox: Sandbox, text: str) -> None:
    kind, *pairs = (part.strip() for part in text.split(","))
    arguments: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"invalid --fault {text!r}: use KEY=VALUE instead of {pair!r}")
        arguments[name.strip()] = _parse_value(value.strip())
    sandbox.faults.add(kind, **arguments)


def _parse_value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _serve(sandbox: Sandbox, form: str) -> None:
    """Print the environment, and wait for a signal."""
    signals: list[int] = []
    _handle_stop_signals(lambda number, _: signals.append(number))
    # Variables that could lead to a real account must not remain in the environment that evaluates the output.
    cleared = list(filter(str.isidentifier, sandbox.cleared()))
    if form in _UNSET_COMMANDS:
        for name in cleared:
            click.echo(_UNSET_COMMANDS[form].format(name))
        # The environment that evaluates the output may have other variables.
        click.echo(build_unset_command(form))
    elif cleared:
        _print_note(
            "unset these variables, which could lead to a real account, where you use the "
            f"environment: {', '.join(cleared)}"
        )
    click.echo(format_environment(sandbox.variables(), form))
    _print_note("the sandbox is running on loopback; press Ctrl-C to stop it")
    # Not a threading.Event, which deadlocks if a signal handler sets it during another handler.
    while not signals:
        time.sleep(0.1)


def _run(command: tuple[str, ...], sandbox: Sandbox) -> int:
    """Run a command and return its exit code, or 128 plus the number of the signal that ended it."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        if process is None:
            early.append(number)
        elif number != signal.SIGINT:  # a terminal sends Ctrl-C to the command, too
            process.send_signal(number)

    # Before the command runs, which would otherwise go on without the sandbox.
    _handle_stop_signals(pass_on)
    try:
        process = sandbox.cleanup.start_process(command, sandbox.environment())
    except OSError as error:
        raise ConfigError(f"can't run {command[0]!r}: {error}") from error
    for number in early:
        process.send_signal(number)
    code = process.wait()
    sandbox.cleanup.remove_process(process.pid)
    return code if code >= 0 else 128 - code


def _print_note(text: str) -> None:
    click.echo(text, err=True)
