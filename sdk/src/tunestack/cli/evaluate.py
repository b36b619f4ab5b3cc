"""`tunestack evaluate`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from tunestack.cli.data_options import FieldMap
from tunestack.cli.groups import examples
from tunestack.cli.identifiers import resolve_model
from tunestack.cli.options import DataFile, Pair, format_option, once, tuner_options
from tunestack.cli.output import NO, is_text, out, write
from tunestack.cli.time_options import Duration
from tunestack.errors import ConfigError
from tunestack.records.target import Rendering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.cli.options import Command
    from tunestack.evaluation.result import Evaluation
    from tunestack.tuner import Tuner

_OPTIONS = (
    click.option("--model", "-m", required=True, help="The job, fine-tuned model, endpoint or base model to evaluate."),
    click.option("--compare", "-c", "against", multiple=True, metavar="[NAME=]MODEL", help="Another model, or `base`: the base model of the evaluated one."),
    click.option("--prompt", "prompts", multiple=True, type=Pair(), metavar="NAME=FILE", help="A prompt before each record: a system prompt (text), or messages (JSON)."),
    click.option("--metric", "metrics", multiple=True, default=("exact_match",), show_default=True, help="exact_match, normalized_match, token_f1, rouge_l, bleu, chrf, json_valid, json_fields, accuracy, macro_f1, tool_calls, regex:PATTERN, module:function, or dspy:module:function."),
    click.option("--judge", help="A model that compares the answers, in both orders."),
    click.option("--rubric", type=click.Path(exists=True), metavar="FILE", help="What the judge should prefer."),
    click.option("--by", metavar="FIELD", help="Show the results for each value of a field of the records."),
    click.option("--require", multiple=True, metavar="CONDITION", help="Exit with 1 unless it holds: 'exact_match>=base+0.05'."),
    click.option("--map", "mapping", type=FieldMap(), metavar="NAME=FIELD,...", help="The fields of records in another format: prompt=question,completion=answer."),
    click.option("--limit", type=click.IntRange(1), help="Use only this many records."),
    click.option("--temperature", type=float, default=0.0, show_default=True, help="0 decodes deterministically."),
    click.option("--max-tokens", type=int, default=1024, show_default=True, help="The maximum number of tokens of an answer."),
    click.option("--rendering", type=click.Choice(get_args(Rendering)), help="How prompts are written, for a model trained on prompts; by default as in its training data."),
    click.option("--start-endpoint", is_flag=True, help="Start the endpoints that are missing, and stop them at the end."),
    click.option("--serving", type=click.Choice(["auto", "on-demand", "provisioned"]), default="auto", show_default=True, help="How to serve them."),
    click.option("--ttl", type=Duration(), help="Their longest lifetime."),
    click.option("--requests-per-minute", type=float, help="The quota of each model; by default, requests adapt to throttling."),
    click.option("--workers", type=int, default=4, show_default=True, help="The number of requests at the same time."),
    click.option("--max-cost", type=float, metavar="USD", help="Stop before the evaluation costs more."),
    click.option("--price", "prices", multiple=True, type=Pair(), metavar="NAME=INPUT,OUTPUT", help="US dollars per million tokens of a model."),
    click.option("--cache", type=click.Path(file_okay=False), metavar="FOLDER", help="The folder of the stored answers."),
    click.option("--output", "-o", metavar="FOLDER", help="A folder for evaluation.json, records.jsonl and records.parquet."),
    click.option("--no-store", is_flag=True, help="Do not store the results in the data bucket."),
    click.option("--resamples", type=int, default=2000, show_default=True, help="The number of resamples for the intervals."),
    click.option("--seed", type=int, default=0, show_default=True, help="The random seed of the resamples."),
)  # fmt: skip


def _evaluate_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "tunestack evaluate validation.jsonl --model latest --compare base --start-endpoint",
        "tunestack evaluate validation.jsonl -m JOB -c base --metric token_f1",
        page="evaluation.md",
    )
)
@click.argument("file", type=DataFile())
@_evaluate_options
@tuner_options
@format_option
def evaluate(file: str, tuner: Tuner, **options: Any) -> int:
    """Evaluate models on the held-out records in FILE, and compare them.

    FILE is in any format of training data; the last message of each record is the expected answer. Answers are stored, so an
    interrupted evaluation continues when it is started again. Exits with 1 if a condition of --require does not hold.
    """
    # SIGTERM is handled as Ctrl-C, so that endpoints that were started are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    data: Any = click.open_file(file, "rb") if file == "-" else file
    model = resolve_model(tuner, options.pop("model"))
    options["against"] = [_resolve(tuner, text) for text in options["against"]]
    evaluation: Evaluation = tuner.evaluate(data, model, **_arguments(options))
    if not is_text():
        write(evaluation.to_dict())
        return 0 if evaluation.passed else NO
    for line in evaluation.lines():
        out(line)
    return 0 if evaluation.passed else NO


def _resolve(tuner: Tuner, text: str) -> str:
    """Return `[NAME=]MODEL` with the full id of a job; `base` is the base model of the evaluated one."""
    name, sign, model = text.rpartition("=")
    return text if model == "base" else f"{name}{sign}{resolve_model(tuner, model)}"


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Tuner.evaluate`."""
    arguments = {**options, "store": not options["no_store"]}
    del arguments["no_store"]
    arguments["prompts"] = {name: _prompt(path) for name, path in once(options["prompts"]).items()}
    arguments["prices"] = {name: _price(text) for name, text in once(options["prices"]).items()}
    if options["rubric"] is not None:
        arguments["rubric"] = _read(options["rubric"])
    return arguments


def _prompt(path: str) -> Any:
    text = _read(path)
    if not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the prompt in {path!r} is not valid JSON: {error}") from error


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path!r} can't be read: {error}") from error


def _price(text: str) -> tuple[float, float]:
    try:
        first, second = map(float, text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"invalid price {text!r}: use INPUT,OUTPUT in US dollars per million tokens, such as 0.3,2.5"
        ) from error
    return first, second
