"""`tunestack sandbox`: a local AWS to try everything in."""

from __future__ import annotations

import math
import signal
import subprocess
import threading
from datetime import UTC, datetime

import click

from tunestack.cli.env import FORMATS, written
from tunestack.cli.output import note, out
from tunestack.errors import ConfigError, MissingExtraError


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--empty", is_flag=True, help="A bare account, for `cdk deploy`.")
@click.option("--region", default="us-east-1", show_default=True, help="The default region.")
@click.option("--speed", default=1000.0, show_default=True, help="How much faster than AWS.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day to play, for models that are retired today.",
)
@click.option("form", "--format", type=click.Choice(FORMATS), default="sh", show_default=True)
@click.option("json_wanted", "--json", is_flag=True, help="The same as --format json.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def sandbox(
    region: str,
    speed: float,
    as_of: datetime | None,
    form: str,
    command: tuple[str, ...],
    *,
    empty: bool,
    json_wanted: bool,
) -> int:
    """Run COMMAND in a local AWS and end it; without one, print its environment and wait for Ctrl-C.

    tunestack sandbox -- python train.py
    """
    try:
        from tunestack.sandbox import Sandbox  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the sandbox is not installed ({error.name}): pip install 'tunestack[sandbox]'"
        ) from error
    if not (math.isfinite(speed) and speed > 0):
        raise ConfigError(f"--speed {speed:g}: use a number above 0")
    start = as_of and as_of.replace(tzinfo=UTC, hour=12)
    with Sandbox(region=region, empty=empty, speed=speed, as_of=start) as running:
        if command:
            return _run(command, running.environment())
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        shape = "json" if json_wanted else form
        if shape == "sh":
            # What could lead to a real account must not stay set in the shell that evaluates this.
            for name in filter(str.isidentifier, running.cleared()):
                out(f"unset {name}")
        out(written(running.variables(), shape))
        note("the sandbox is running, on loopback only; Ctrl-C ends it")
        ended.wait()
    return 0


def _run(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run a command to its end, and return its exit code as a shell would."""
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - the caller's own
    except OSError as error:
        raise ConfigError(f"{command[0]!r} can't be run: {error}") from error
    # A terminal sends Ctrl-C to the command too: it decides what to do about it, we wait.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 128 - code
