"""`tunestack doctor` and `cost`: what can be known before money is spent."""

from __future__ import annotations

import click

from tunestack.cli.options import (
    DataFile,
    json_option,
    model_option,
    once,
    place_options,
    values_option,
)
from tunestack.cli.output import NO, as_json, out, show
from tunestack.provider import Verdict
from tunestack.tuner import Tuner

_MARKS = {Verdict.PASS: "ok", Verdict.FAIL: "FAILS", Verdict.UNKNOWN: "unknown"}


@click.command()
@click.option("--model", "-m", help="Check also that this base model can be tuned and served.")
@click.option(
    "--provider", type=click.Choice(["bedrock", "openai"]), help="Whose; the model's, or bedrock."
)
@place_options
@json_option
def doctor(
    model: str | None,
    provider: str | None,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> int:
    """Check credentials, clock, deployment, bucket, role, guard and quotas; exits with 1 if something fails."""
    found = Tuner(stage, region=region).preflight(model, provider=provider)
    for check in found:
        if json_wanted:
            out(as_json(check))
            continue
        out(f"{_MARKS[check.verdict]:<8} {check.name}: {check.detail}")
        if check.fix:
            out(f"{'':<8} -> {check.fix}")
    return NO if any(check.verdict is Verdict.FAIL for check in found) else 0


@click.command()
@click.argument("file", type=DataFile())
@model_option
@values_option
@click.option(
    "--format",
    "data_format",
    help="Of FILE: chat, completion, ...; told by its first record if not given.",
)
@place_options
@json_option
def cost(
    file: str,
    model: str,
    values: tuple[tuple[str, str], ...],
    data_format: str | None,
    stage: str | None,
    region: str | None,
    *,
    json_wanted: bool,
) -> None:
    """Tell what tuning MODEL with FILE would cost, and serving what comes of it; nothing is uploaded."""
    found = Tuner(stage, region=region).cost(
        model, file, data_format=data_format, hyperparameters=once(values)
    )
    if json_wanted:
        show(found, json_wanted=True)
        return
    for line in found.lines():
        out(line)
