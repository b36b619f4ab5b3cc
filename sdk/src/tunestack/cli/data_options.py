"""Options of the commands that read training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from tunestack.records.formats import FORMATS
from tunestack.records.target import Rendering

if TYPE_CHECKING:
    from tunestack.cli.options import Command


class FieldMap(click.ParamType[dict[str, str]]):
    """`prompt=question,completion=answer`."""

    name = "map"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, str]:
        """Split at commas and equals signs."""
        pairs = [pair.partition("=") for pair in str(value).split(",")]
        if not all(name and field for name, _, field in pairs):
            self.fail(f"{value!r} is not NAME=FIELD,NAME=FIELD", param, ctx)
        return {name.strip(): field.strip() for name, _, field in pairs}


ignore_option = click.option(
    "--ignore", multiple=True, metavar="RULE", help="A validation rule to skip."
)


def data_options(command: Command) -> Command:
    """Add the options for reading and writing training data."""
    for option in (
        ignore_option,
        click.option(
            "--on-loss",
            type=click.Choice(["error", "report"]),
            default="error",
            show_default=True,
            help="What to do with content that the format does not support: fail, or leave it out and report it.",
        ),
        click.option(
            "--rendering",
            type=click.Choice(get_args(Rendering)),
            help="How prompts are written, for models that are trained on prompts: unchanged, or with the chat template.",
        ),
        click.option(
            "--map",
            "mapping",
            type=FieldMap(),
            metavar="NAME=FIELD,...",
            help="The fields of records in another format: prompt=question,completion=answer.",
        ),
        click.option("--record-format", help="The format to write, if the model accepts several."),
        click.option(
            "--data-format",
            help=f"{', '.join(FORMATS)}; by default detected from the first record.",
        ),
    ):
        command = option(command)
    return command
