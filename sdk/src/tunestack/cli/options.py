"""Options that several commands share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from tunestack.cli.interrupts import exit_at_interrupt
from tunestack.cli.output import ID_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunestack.tuner import Tuner

    Command = Callable[..., Any]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

json_option = click.option(
    "json_wanted", "--json", is_flag=True, help="Print JSON, one object per line."
)


def _use_id_only(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click passes it so
    ctx.meta[ID_ONLY] = value
    return value


id_only_option = click.option(
    "--id-only",
    is_flag=True,
    expose_value=False,
    callback=_use_id_only,
    help="Print only the id, for use in scripts.",
)

model_option = click.option(
    "--model", "-m", required=True, help="Base model, see `tunestack models`."
)


provider_option = click.option(
    "--provider",
    type=click.Choice(["bedrock", "openai"]),
    default="bedrock",
    show_default=True,
    help="The provider.",
)


def new_tuner(stage: str | None, region: str | None) -> Tuner:
    """Return a tuner for the options of `place_options`."""
    with exit_at_interrupt():
        from tunestack.tuner import Tuner  # noqa: PLC0415 - loads boto3, which `--help` does not need

    return Tuner(stage, region=region)


def place_options(command: Command) -> Command:
    """Add `--stage` and `--region`."""
    command = click.option(
        "--region", help="AWS region; by default AWS_REGION, or the model's region."
    )(command)
    return click.option("--stage", help="Deployed stage; by default TUNESTACK_STAGE, or dev.")(
        command
    )


class Pair(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`."""

    name = "name=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Split at the first equals sign."""
        name, sign, content = str(value).partition("=")
        if not sign or not name:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, content


class DataFile(click.ParamType[str]):
    """Training data: a path of a file or a folder, `-` for standard input, or an `s3://` URI."""

    name = "file"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Refuse a path that does not exist, as invalid usage."""
        if value == "-" or str(value).startswith("s3://"):
            return str(value)
        return str(click.Path(exists=True).convert(value, param, ctx))


class Duration(click.ParamType[timedelta]):
    """`90m`, `4h`, `2d`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """Read a number and a unit."""
        match = re.fullmatch(r"(\d+)([mhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration: use 90m, 4h or 2d", param, ctx)
        try:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


def once(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return a mapping; refuse a name that is given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{name!r} is given twice")
    return dict(pairs)


values_option = click.option(
    "--set", "-p", "values", type=Pair(), multiple=True, help="A hyperparameter: epochCount=3."
)
