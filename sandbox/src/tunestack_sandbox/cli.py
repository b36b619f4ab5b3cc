"""`tunestack sandbox`: run a command in a local AWS and OpenAI."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tunestack.deployment import ENVIRONMENT_FORMATS, format_environment
from tunestack.errors import ConfigError
from tunestack_sandbox.variables import unset_matching

if TYPE_CHECKING:
    from types import FrameType

    from tunestack_sandbox import Sandbox

_UNSET = {
    "sh": "unset {}",
    "powershell": "Remove-Item Env:{} -ErrorAction SilentlyContinue",
}
"""How a shell takes a variable away; a file of variables can't."""
_INTERRUPTED = 130
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--empty", is_flag=True, help="A bare account, for `cdk deploy`.")
@click.option("--region", default="us-east-1", show_default=True, help="The default region.")
@click.option("--speed", default=1000.0, show_default=True, help="How much faster than AWS.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day to play, for models that are retired today.",
)
@click.option("--enforce-iam", is_flag=True, help="Evaluate policies everywhere; serves HTTPS.")
@click.option("--no-model-units", is_flag=True, help="A quota of 0, as in a new AWS account.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[,KEY=VALUE...]",
    help="Let something go wrong: throttle,operation=List*,rate=0.1 (see docs/sandbox.md).",
)
@click.option("--seed", default=0, show_default=True, help="Random seed of the faults.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="HOST",
    help="A host of AWS, OpenAI or Azure that the sandbox's proxy does not refuse.",
)
@click.option(
    "form", "--format", type=click.Choice(ENVIRONMENT_FORMATS), default="sh", show_default=True
)
@click.option("json_wanted", "--json", is_flag=True, help="The same as --format json.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def sandbox(
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
    json_wanted: bool,
) -> int:
    """Run COMMAND in a local AWS and end it; without one, print its environment and wait for Ctrl-C.

    tunestack sandbox -- python train.py
    """
    from tunestack_sandbox import Quotas, Sandbox  # noqa: PLC0415 - `tunestack --help` needs neither

    if command and shutil.which(command[0]) is None:
        raise ConfigError(
            f"{command[0]!r} can't be run: there is no such program, or it may not be executed"
        )
    started = Sandbox(
        region=region,
        empty=empty,
        speed=speed,
        as_of=as_of and as_of.replace(tzinfo=UTC, hour=12),
        enforce_iam=enforce_iam,
        quotas=Quotas(model_units=0) if no_model_units else None,
        seed=seed,
        allowed_hosts=allowed_hosts,
    )
    interrupts = _remembered_interrupts()
    try:
        for fault in faults:
            _add_fault(started, fault)
        with started as running:
            _again(interrupts)
            if command:
                return _run(command, running)
            _serve(running, "json" if json_wanted else form)
    except KeyboardInterrupt:
        _note("interrupted; nothing of the sandbox is left")
        return _INTERRUPTED
    finally:
        started.stop()
    return 0


def _remembered_interrupts() -> list[int]:
    """Let Ctrl-C interrupt as ever, and list it too: Python loses one that comes in the middle of a callback."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return came


def _again(interrupts: list[int]) -> None:
    if interrupts:
        raise KeyboardInterrupt


def _add_fault(sandbox: Sandbox, text: str) -> None:
    kind, *pairs = (part.strip() for part in text.split(","))
    how: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--fault {text!r}: {pair!r} is not KEY=VALUE")
        how[name.strip()] = _number(value.strip())
    sandbox.faults.add(kind, **how)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _serve(sandbox: Sandbox, form: str) -> None:
    """Print the environment, and wait for the end."""
    ended: list[int] = []
    for number in _ENDS:
        if (
            signal.getsignal(number) is not signal.SIG_IGN
        ):  # as `nohup` has it, and the background of a script
            signal.signal(number, lambda number, _: ended.append(number))
    # What could lead to a real account must not stay set where this is evaluated.
    cleared = list(filter(str.isidentifier, sandbox.cleared()))
    if form in _UNSET:
        for name in cleared:
            click.echo(_UNSET[form].format(name))
        # By the environment that it is evaluated in, which may be another one.
        click.echo(unset_matching(form))
    elif cleared:
        _note(f"unset these where you use it, they lead elsewhere: {', '.join(cleared)}")
    click.echo(format_environment(sandbox.variables(), form))
    _note("the sandbox is running, on loopback only; Ctrl-C ends it")
    # Not an Event: set by one signal in the middle of another, it would wait for itself.
    while not ended:
        time.sleep(0.1)


def _run(command: tuple[str, ...], sandbox: Sandbox) -> int:
    """Run a command to its end, and return its exit code as a shell would."""
    try:
        process = subprocess.Popen(command, env=sandbox.environment())  # noqa: S603 - the caller's own
    except OSError as error:
        raise ConfigError(f"{command[0]!r} can't be run: {error}") from error
    sandbox.take_along(process.pid)
    # A terminal sends Ctrl-C to the command too: it decides what to do about it, we wait.
    signal.signal(signal.SIGINT, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    code = process.wait()
    sandbox.leave(process.pid)
    return code if code >= 0 else 128 - code


def _note(text: str) -> None:
    click.echo(text, err=True)
