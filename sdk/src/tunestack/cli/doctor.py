"""`tunestack doctor`: check credentials, deployment, quotas and permissions before a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import Verdict
from tunestack.cli.groups import examples
from tunestack.cli.options import format_option, tuner_options
from tunestack.cli.output import NO, is_text, out, write

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider
    from tunestack.tuner import Tuner

_MARKS = {Verdict.PASS: "ok", Verdict.FAIL: "FAILS", Verdict.UNKNOWN: "unknown"}


@click.command(
    epilog=examples(
        "tunestack doctor", "tunestack doctor --model nova-micro --json", page="infrastructure.md"
    )
)
@click.option(
    "--model", "-m", help="Also check whether this base model can be fine-tuned and served."
)
@click.option(
    "--provider",
    type=click.Choice(["bedrock", "openai"]),
    help="By default that of the model, or bedrock.",
)
@tuner_options
@format_option
def doctor(model: str | None, provider: Provider | None, tuner: Tuner) -> int:
    """Check credentials, clock, deployment, bucket, role, guard and quotas; exits with 1 if something fails."""
    found = tuner.preflight(model, provider=provider)
    for check in found:
        if not is_text():
            write(check)
            continue
        out(f"{_MARKS[check.verdict]:<8} {check.name}: {check.detail}")
        if check.fix:
            out(f"{'':<8} -> {check.fix}")
    return NO if any(check.verdict is Verdict.FAIL for check in found) else 0
