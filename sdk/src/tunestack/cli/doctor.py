"""`tunestack doctor`: check credentials, deployment, quotas and permissions before a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import Verdict
from tunestack.cli.options import json_option, new_tuner, place_options
from tunestack.cli.output import NO, as_json, out

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider

_MARKS = {Verdict.PASS: "ok", Verdict.FAIL: "FAILS", Verdict.UNKNOWN: "unknown"}


@click.command()
@click.option(
    "--model", "-m", help="Also check whether this base model can be fine-tuned and served."
)
@click.option(
    "--provider",
    type=click.Choice(["bedrock", "openai"]),
    help="By default that of the model, or bedrock.",
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
    found = new_tuner(stage, region).preflight(model, provider=provider)
    for check in found:
        if json_wanted:
            out(as_json(check))
            continue
        out(f"{_MARKS[check.verdict]:<8} {check.name}: {check.detail}")
        if check.fix:
            out(f"{'':<8} -> {check.fix}")
    return NO if any(check.verdict is Verdict.FAIL for check in found) else 0
