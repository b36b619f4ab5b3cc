"""The methods of `Tuner` for runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.accounts import BEDROCK, TunerBase
from tunestack.spec.arguments import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tunestack.backends.runs import RunHost
    from tunestack.runs.evaluation import RunEvaluation
    from tunestack.runs.plan import RunPlan
    from tunestack.runs.run import Run
    from tunestack.spec.job_spec import JobSpec


class RunMethods(TunerBase):
    """Starts and returns runs."""

    def start_run(
        self,
        specs: Iterable[JobSpec],
        *,
        name: str = "run",
        max_parallel: int | None = None,
        budget: float | None = None,
        evaluate: RunEvaluation | None = None,
        promote: str | None = None,
        confirm: Callable[[RunPlan], object] | None = None,
    ) -> Run:
        """Start a run: Step Functions submits these jobs, as slots become free, and waits for them. No client is needed then.

        Billed by the token trained, as with `submit`, and by the state transition: $0.004 for a job of 97 minutes, $0.015 for one of a day. All data is checked
        before anything is uploaded. The jobs are those of `submit`: a job that exists is not billed again. Starting the same
        run again, from any process, returns the running one; jobs that have failed get another attempt in another run.

        Args:
            specs: the jobs: `tunestack.JobSpec`, with the arguments of `submit`, all for models in one region.
            name: the prefix of the run's name, at most 40 characters.
            max_parallel: the number of jobs at once; by default the account's quota.
            budget: the limit in US dollars for the highest estimates of the jobs together: jobs beyond it are not submitted.
            evaluate: how to evaluate the models in the account when all jobs have ended; needs the stage setting
                `run_evaluation`. Billed by the token, and with Lambda.
            promote: the endpoint that serves the best model then, if it passed the conditions of `evaluate`; see `promote`.
            confirm: is called with the plan before anything is uploaded or created; an exception that it raises ends the start.

        Raises:
            ConfigError: an argument is invalid; `CostError` if there is a budget and a price is unknown.
            DataError: the data of a job, or the held-out set, is invalid.
            DeploymentError: the deployment has no state machine, or does not evaluate: deploy it again.
        """
        from tunestack.runs.start import start  # noqa: PLC0415 - takes time to load

        return start(
            self._accounts,
            specs,
            name=name,
            max_parallel=max_parallel,
            budget=budget,
            evaluate=evaluate,
            promote=promote,
            confirm=confirm,
            poll=self._poll,
        )

    def start_sweep(
        self,
        file: Path | str,
        *,
        name: str | None = None,
        max_parallel: int | None = None,
        budget: float | None = None,
        confirm: Callable[[RunPlan], object] | None = None,
    ) -> Run:
        """Start the run that a sweep file describes, as `start_run` does.

        Args:
            file: the path or the S3 URI of the file; see docs/runs.md. Files that it names are relative to it.
            name: the prefix of the run's name; by default that of the file.
            max_parallel: the number of jobs at once; by default that of the file, or the account's quota.
            budget: the limit in US dollars; by default that of the file.
            confirm: see `start_run`.

        Raises:
            ConfigError: the file can't be read, or has unknown keys or invalid values; and the errors of `start_run`.
        """
        from tunestack.runs.sweep import start_sweep  # noqa: PLC0415 - takes time to load

        return start_sweep(
            self._accounts,
            file,
            name=name,
            max_parallel=max_parallel,
            budget=budget,
            confirm=confirm,
            poll=self._poll,
        )

    def run_host(self, model: str) -> RunHost:
        """Return what starts the runs of a model, by any of its names; see `tunestack.backends.runs`.

        Raises:
            ConfigError: the model is not on Bedrock.
        """
        from tunestack.runs.find import require_host  # noqa: PLC0415 - takes time to load

        return require_host(
            self._accounts.of_model(check_type("model", model, str)).resolve(model).backend
        )

    def run(self, run_id: str) -> Run:
        """Return a run, by its ARN or name.

        Raises:
            NotFoundError: the run does not exist.
        """
        from tunestack.runs.find import find_run  # noqa: PLC0415 - takes time to load

        return find_run(self._accounts.of_provider(BEDROCK).backend(), run_id, poll=self._poll)

    def runs(self) -> Iterator[Run]:
        """List the runs of the stage in the region, the newest first; Step Functions keeps them for 90 days."""
        from tunestack.runs.find import list_runs  # noqa: PLC0415

        return list_runs(self._accounts.of_provider(BEDROCK).backend(), poll=self._poll)
