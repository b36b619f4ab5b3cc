"""`tunestack doctor`: check what can be checked before money is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import Verdict
from tunestack.cli.options import json_option, place_options
from tunestack.cli.output import NO, as_json, out
from tunestack.tuner import Tuner

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider

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
    provider: Provider | None,
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
