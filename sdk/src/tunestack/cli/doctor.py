"""`tunestack doctor`: check credentials, deployment, quotas and permissions before a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunestack.backends.base import Check, Verdict
from tunestack.cli.groups import examples
from tunestack.cli.options import ModelName, format_option, model_place_options, new_tuner
from tunestack.cli.output import NO, is_text, out, write
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider

_MARKS = {Verdict.PASS: "ok", Verdict.FAIL: "FAILS", Verdict.UNKNOWN: "unknown"}


@click.command(
    epilog=examples(
        "tunestack doctor", "tunestack doctor --model nova-micro --json", page="jobs.md"
    )
)
@click.option(
    "--model",
    "-m",
    type=ModelName(),
    help="Also check whether this base model can be fine-tuned and served.",
)
@click.option(
    "--provider",
    type=click.Choice(["bedrock", "openai"]),
    help="The provider; by default that of the model, or bedrock.",
)
@model_place_options
@format_option
def doctor(
    model: str | None, provider: Provider | None, stage: str | None, region: str | None
) -> int:
    """Check credentials, clock, deployment, bucket, role, guard and quotas; exits with 1 if something fails.

    A check passes, fails with what to do, or is unknown with the reason.
    """
    checks = _run_checks(model, provider, stage, region)
    for check in checks:
        if not is_text():
            write(check)
            continue
        out(f"{_MARKS[check.verdict]:<8} {check.name}: {check.detail}")
        for remedy in (check.fix, check.link):
            if remedy:
                out(f"{'':<8} -> {remedy}")
    return NO if any(check.verdict is Verdict.FAIL for check in checks) else 0


def _run_checks(
    model: str | None, provider: Provider | None, stage: str | None, region: str | None
) -> list[Check]:
    """Return the checks; an error that prevents them is a check that fails."""
    try:
        return new_tuner(stage, region).preflight(model, provider=provider)
    except TunestackError as error:
        fix = "change the option or setting that the message names"
        return [Check(name="settings", verdict=Verdict.FAIL, detail=str(error), fix=fix)]
    except Exception as error:  # noqa: BLE001 - what fails unexpectedly is unknown
        detail = f"the checks ended with an unexpected error: {type(error).__name__}: {error}"
        return [Check(name="settings", verdict=Verdict.UNKNOWN, detail=detail)]
