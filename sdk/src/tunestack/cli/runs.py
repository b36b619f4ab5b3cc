"""`tunestack runs`: start, list, follow and cancel runs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import click

from tunestack.backends.base import JobState
from tunestack.backends.runs import RunState
from tunestack.cli.confirmation import DeclinedError, require_confirmation
from tunestack.cli.groups import Group, examples
from tunestack.cli.identifiers import LATEST
from tunestack.cli.options import (
    format_option,
    id_only_option,
    limit_option,
    limited,
    tuner_options,
    yes_option,
)
from tunestack.cli.output import (
    MESSAGES_AS_JSON,
    NO,
    is_text,
    note,
    out,
    show,
    table,
    write,
)
from tunestack.cli.several import CANCEL_EFFECT, confirm_all, require_terminal
from tunestack.cli.time_options import Duration
from tunestack.errors import NotFoundError

if TYPE_CHECKING:
    from datetime import timedelta

    from tunestack.runs.plan import RunPlan
    from tunestack.runs.run import Run
    from tunestack.tuner import Tuner

_PAGE = "runs.md"
_COLUMNS = ("name", "state", "hyperparameters", "model", "reason")


@click.group(
    cls=Group, epilog=examples("tunestack runs start sweep.toml", "tunestack runs list", page=_PAGE)
)
def runs() -> None:
    """Start, list, follow and cancel runs: many jobs, submitted from the AWS account.

    RUN is the name or ARN of a run, or `latest`.
    """


@runs.command(
    epilog=examples(
        "tunestack runs start sweep.toml",
        "tunestack runs start sweep.toml --max-parallel 2 --budget 50 --yes",
        page=_PAGE,
    )
)
@click.argument("file")
@click.option("--name", help="The prefix of the run's name; by default that of the file.")
@click.option(
    "--max-parallel",
    type=click.IntRange(1),
    help="The number of jobs at once; by default the account's quota.",
)
@click.option(
    "--budget", type=float, metavar="USD", help="Do not submit jobs beyond this estimated cost."
)
@click.option("--dry-run", is_flag=True, help="Check all data, and show the plan.")
@yes_option
@tuner_options
@format_option
@id_only_option
def start(
    file: str,
    name: str | None,
    max_parallel: int | None,
    budget: float | None,
    tuner: Tuner,
    *,
    dry_run: bool,
    yes: bool,
) -> int | None:
    """Start the run that the sweep FILE (a path or S3 URI) describes. Asks for confirmation in a terminal.

    Starting the same run again returns the running one.
    """

    def confirm(plan: RunPlan) -> None:
        _show_plan(plan, is_result=dry_run)
        if dry_run:
            raise DeclinedError
        require_confirmation("Start this run?", yes=yes)

    try:
        run = tuner.start_sweep(
            file, name=name, max_parallel=max_parallel, budget=budget, confirm=confirm
        )
    except DeclinedError:
        note("dry run: nothing was uploaded or created" if dry_run else "nothing was started")
        return None if dry_run else NO
    note(f"run {run.name}: `tunestack runs watch {run.name}` follows it")
    show(run.info)
    return None


def _show_plan(plan: RunPlan, *, is_result: bool) -> None:
    if is_result and not is_text():
        write(plan.to_dict())
    elif MESSAGES_AS_JSON.get():
        note("the plan of the run", plan=plan.to_dict())
    else:
        for line in plan.lines():
            (out if is_result else note)(line)


@runs.command(
    "list", epilog=examples("tunestack runs list", "tunestack runs list --json", page=_PAGE)
)
@limit_option
@tuner_options
@format_option
@id_only_option
def list_runs(limit: int, tuner: Tuner) -> None:
    """List the runs of the stage in the region, the newest first."""
    table(
        limited((run.info for run in tuner.runs()), limit),
        ("name", "state", "created", "ended"),
        of="runs",
    )


@runs.command(
    "show",
    epilog=examples("tunestack runs show latest", "tunestack runs show RUN --json", page=_PAGE),
)
@click.argument("run")
@tuner_options
@format_option
def show_run(run: str, tuner: Tuner) -> None:
    """Show a run, its jobs, and the result of its evaluation."""
    found = _find_run(tuner, run)
    jobs, evaluation = found.jobs(), found.evaluation()
    if not is_text():
        write({**found.to_dict(), "jobs": jobs, "evaluation": evaluation})
        return
    show(found.to_dict())
    table(jobs, _COLUMNS, of="jobs")
    for line in () if evaluation is None else evaluation.lines():
        out(line)


@runs.command(
    epilog=examples("tunestack runs watch latest", "tunestack runs watch RUN --json", page=_PAGE)
)
@click.argument("run")
@click.option(
    "--timeout",
    type=Duration(),
    default="30d",
    show_default=True,
    help="Stop following after this time: 90m, 4h, 2d. The run continues.",
)
@tuner_options
@format_option
def watch(run: str, timeout: timedelta, tuner: Tuner) -> int | None:
    """Follow a run until its jobs have ended; exits with 1 unless all have succeeded.

    Ctrl-C leaves the run running. With --json, each change is one object.
    """
    found = _find_run(tuner, run)
    for counts in found.watch(timeout):
        if is_text():
            note(", ".join(f"{number} {state}" for state, number in sorted(counts.items())))
        else:
            write(found.to_dict())
    jobs = found.jobs()
    if is_text():
        table(jobs, _COLUMNS, of="jobs")
    if found.info.failure:
        note(f"run {found.name} failed: {found.info.failure}")
    has_succeeded = found.state is RunState.SUCCEEDED
    return None if has_succeeded and {job.state for job in jobs} == {"succeeded"} else NO


@runs.command(
    epilog=examples(
        "tunestack runs cancel latest", "tunestack runs cancel RUN --jobs --yes", page=_PAGE
    )
)
@click.argument("run")
@click.option(
    "--jobs", is_flag=True, help="Cancel the jobs that run, too; trained tokens are billed."
)
@yes_option
@tuner_options
@format_option
def cancel(run: str, tuner: Tuner, *, jobs: bool, yes: bool) -> int | None:
    """Stop submitting the jobs of a run; the jobs that run continue unless --jobs is set.

    With --jobs, asks for confirmation in a terminal.
    """
    if jobs:
        require_terminal("the cancellation of jobs", yes=yes)
    found = _find_run(tuner, run)
    if jobs and not yes:
        running = [job for job in found.jobs() if job.id and not JobState(job.state).is_terminal]
        lines = [f"job {job.name}: {job.state}" for job in running]
        if running and not confirm_all(lines, "Cancel", "job", effect=CANCEL_EFFECT, yes=yes):
            return NO
    stopped = found.cancel(jobs=jobs)
    note(f"run {found.name}: {found.state}, {len(stopped)} jobs are stopped")
    show(found.to_dict())
    return None


def _find_run(tuner: Tuner, text: str) -> Run:
    if text != LATEST:
        return tuner.run(text)
    for run in itertools.islice(tuner.runs(), 1):
        return run
    raise NotFoundError("no runs: start one with `tunestack runs start FILE`")
