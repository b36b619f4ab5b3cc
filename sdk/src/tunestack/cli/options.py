"""Options that several commands share. An option has the same name and meaning in all commands."""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tunestack.cli.interrupts import exit_at_interrupt
from tunestack.cli.output import FORMAT, FORMATS, ID_ONLY, QUERY, is_text, note
from tunestack.cli.time_options import since_option
from tunestack.errors import ModelError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from enum import StrEnum

    from tunestack.backends.accounts import Provider
    from tunestack.backends.handle import Handle
    from tunestack.tuner import Tuner

    Command = Callable[..., Any]

_MOST_LISTED = 30
_REGION = "AWS region; by default AWS_REGION, or the region of the AWS profile."
_MODEL_REGION = (
    "AWS region; by default AWS_REGION, the region of the AWS profile, or that of the model."
)

Item = TypeVar("Item")


def _store(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            ctx.meta[key] = "json" if key == FORMAT and value is True else value

    return store


def _compile_query(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    import jmespath  # noqa: PLC0415 - for this option only

    try:
        ctx.meta[QUERY] = jmespath.compile(value)
    except jmespath.exceptions.JMESPathError as error:
        raise click.BadParameter(
            f"{shortened(value)} is not a JMESPath expression: {error}; an example is '{{id: id, state: state}}'"
        ) from error
    ctx.meta.setdefault(FORMAT, "json")


def format_option(command: Command) -> Command:
    """Add `--format`, `--json` and `--query`, which `show`, `table` and `write` read."""
    for option in (
        click.option(
            "--query",
            metavar="JMESPATH",
            expose_value=False,
            callback=_compile_query,
            help="Print only these fields of each JSON object, as the AWS CLI does: state, '{id: id, model: model}'.",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_store(FORMAT),
            help="The same as --format json.",
        ),
        click.option(
            "--format",
            type=click.Choice(FORMATS),
            expose_value=False,
            callback=_store(FORMAT),
            help="The format of the output; by default table. JSON and YAML have one object per item.",
        ),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """Add `--format` and `--json`, and pass `json_wanted`: whether the output is not text."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        return command(*args, json_wanted=not is_text(), **kwargs)

    return format_option(run)


id_only_option = click.option(
    "--id-only",
    is_flag=True,
    expose_value=False,
    callback=_store(ID_ONLY),
    help="Print only the full id, for use in scripts.",
)

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")

provider_option = click.option(
    "--provider",
    type=click.Choice(["bedrock", "openai"]),
    default="bedrock",
    show_default=True,
    help="The provider; ids at OpenAI (ftjob-..., ft:...) need no option, except `latest`.",
)


def new_tuner(stage: str | None, region: str | None) -> Tuner:
    """Return a tuner for the options of `place_options`."""
    with exit_at_interrupt():
        from tunestack.tuner import Tuner  # noqa: PLC0415 - loads boto3, which `--help` does not need

    return Tuner(stage, region=region)


def place_options(command: Command, *, region: str = _REGION) -> Command:
    """Add `--stage` and `--region`.

    Args:
        command: the command.
        region: the help of `--region`.
    """
    command = click.option("--region", help=region)(command)
    return click.option("--stage", help="Deployed stage; by default TUNESTACK_STAGE, or dev.")(
        command
    )


def model_place_options(command: Command) -> Command:
    """Add `--stage` and `--region` to a command with a base model, which determines the region if nothing else does."""
    return place_options(command, region=_MODEL_REGION)


def tuner_options(command: Command) -> Command:
    """Add `--stage` and `--region`, and pass their tuner as `tuner`."""
    return place_options(pass_tuner(command))


def pass_tuner(command: Command) -> Command:
    """Pass the tuner of `--stage` and `--region` as `tuner`."""

    @wraps(command)
    def run(*args: Any, stage: str | None, region: str | None, **kwargs: Any) -> Any:
        return command(*args, tuner=new_tuner(stage, region), **kwargs)

    return run


def list_options(*orders: str) -> Callable[[Command], Command]:
    """Add `--limit`, `--sort` and `--since`.

    Args:
        orders: the fields to sort by; the first one is the default, in which the provider lists the items.
    """

    def decorate(command: Command) -> Command:
        for option in (since_option(), sort_option(*orders), limit_option):
            command = option(command)
        return command

    return decorate


limit_option = click.option(
    "--limit",
    type=click.IntRange(1),
    default=_MOST_LISTED,
    show_default=True,
    help="Show at most this many.",
)


def sort_option(*orders: str) -> Callable[[Command], Command]:
    """Return the option `--sort`; the first order is the default."""
    newest = " (the newest first)" if orders[0] == "created" else ""
    return click.option(
        "--sort",
        type=click.Choice(orders),
        default=orders[0],
        help=f"The order; by default {orders[0]}{newest}.",
    )


def limited(items: Iterable[Item], limit: int) -> list[Item]:
    """Return the first items; a message says if there are more."""
    shown = list(islice(items, limit + 1))
    if len(shown) > limit:
        note(f"only the first {limit} are shown: use --limit {10 * limit} for more")
    return shown[:limit]


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
        """Refuse a path that does not exist, as invalid usage; the error suggests what is meant."""
        text = str(value)
        if text == "-" or text.startswith("s3://") or Path(text).exists():
            return text
        from tunestack import catalog  # noqa: PLC0415 - for the message only

        problem = f"does not exist{_similar_file(Path(text))}"
        if catalog.find(text) is not None:
            problem = (
                f"is a base model, not a file: pass the file first, and the model as --model {text}"
            )
        return self.fail(f"{text!r} {problem}", param, ctx)


def _similar_file(path: Path) -> str:
    """Return a question with a file of a similar name in the same folder, or what is wrong with the folder."""
    from difflib import get_close_matches  # noqa: PLC0415 - for messages only

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f": the folder {str(path.parent)!r} can't be read"
    near = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f": did you mean {str(path.parent / near[0])!r}?" if near else f" in {Path.cwd()}"


class ModelName(click.ParamType[str]):
    """A base model, by any of its names."""

    name = "model"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:  # noqa: ARG002 - of click
        """Accept every name: the command checks it."""
        return str(value)

    def get_missing_message(self, param: Any, ctx: Any) -> str:  # noqa: ARG002 - of click
        """Say what is missing."""
        return (
            "Specify a base model, such as --model nova-micro: `tunestack models list` lists them."
        )


def once(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return a mapping; refuse a name that is given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{name!r} is given twice")
    return dict(pairs)


def state_option(states: type[StrEnum]) -> Callable[[Command], Command]:
    """Return the option `--state`, which can be repeated."""
    return click.option(
        "--state",
        "states",
        type=click.Choice([state.value for state in states]),
        multiple=True,
        help="Only in this state; repeat it for several states.",
    )


base_option = click.option(
    "--model", "-m", type=ModelName(), help="Only those of this base model, see `models list`."
)


def base_filter(model: str | None, provider: Provider) -> Callable[[Handle[Any], str], bool]:
    """Return a function that tells whether a handle belongs to the base model of `--model`, by its base or custom model.

    Raises:
        ModelError: the base model is unknown.
    """
    from tunestack import catalog  # noqa: PLC0415 - `--help` does not need it

    if model is None:
        return lambda handle, identifier: True  # noqa: ARG005 - nothing is filtered
    # An OpenAI-compatible server may have models that are not in the catalog.
    known = catalog.find(model) or (catalog.unknown(model) if provider == "openai" else None)
    key = (known or catalog.get(model)).key

    def matches(handle: Handle[Any], identifier: str) -> bool:
        with suppress(ModelError):
            return handle.backend.base(identifier).key == key
        return False

    return matches


tags_option = click.option(
    "--tag",
    "tags",
    type=Pair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="A tag of the job and its model.",
)

model_option = click.option(
    "--model",
    "-m",
    required=True,
    type=ModelName(),
    help="Base model, see `tunestack models list`.",
)

values_option = click.option(
    "--set", "-p", "values", type=Pair(), multiple=True, help="A hyperparameter: epochCount=3."
)
