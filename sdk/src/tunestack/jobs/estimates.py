"""The methods of `Tuner` that answer what a submission would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from tunestack.backends.accounts import TunerBase
from tunestack.jobs.submit import check_spec, estimate, plan
from tunestack.spec.job_spec import JobSpec

if TYPE_CHECKING:
    from tunestack.jobs.plan import Plan
    from tunestack.records.source import Source
    from tunestack.spec.cost import Cost
    from tunestack.spec.job_spec import SubmitArguments


class Estimates(TunerBase):
    """The part of `Tuner` that checks and estimates jobs; nothing is uploaded, created or billed."""

    def check(self, model: str, **arguments: Unpack[SubmitArguments]) -> None:
        """Check everything that `submit` would reject without reading data; nothing is uploaded, created or billed.

        `submit` runs the same checks; the records and `max_cost` depend on the data. If the caller may read quotas, a job slot
        has to be free, or with `queue` to exist at all. The arguments are those of `submit`.

        Raises:
            ModelError: the model can't be fine-tuned, or not in this region.
            HyperparameterError: the model does not accept a name or a value.
            ConfigError: another argument is invalid; `DeploymentError` if nothing is deployed.
            QuotaError: the account may run no more jobs now.
        """
        spec = JobSpec(model=model, **arguments)
        target = self._accounts.of_model(spec.model).resolve(spec.model)
        check_spec(target, spec)
        target.backend.check_quotas(queue=spec.queue_timeout is not None)

    def cost(self, model: str, data: Source, **arguments: Unpack[SubmitArguments]) -> Cost:
        """Estimate the cost of a job; the arguments are those of `submit`. No deployment, credentials or network are needed.

        Prices are those of AWS's price list if the caller may read it, else the catalog's; each has its source. What only the
        account knows is not checked: the stage's models and locations, and models of other OpenAI-compatible servers.

        Raises:
            ConfigError: as in `submit`, and `ModelError`, `HyperparameterError`, `DataError` and `CostError`.
        """
        spec = JobSpec(model=model, data=data, **arguments)
        target = self._accounts.of_model(spec.model).resolve_offline(spec.model)
        check_spec(target, spec)
        return estimate(target, spec)

    def plan(self, model: str, data: Source, **arguments: Unpack[SubmitArguments]) -> Plan:
        """Do all that `submit` does before it uploads and creates: check, read and count the data, look for an equal job.

        Returns:
            The records, the estimated cost, how long jobs of this model took, the quota of jobs, and the job that `submit`
            would return without training again.

        Raises:
            ConfigError: as in `submit`, and its other errors.
        """
        spec = JobSpec(model=model, data=data, **arguments)
        target = self._accounts.of_model(spec.model).resolve(spec.model)
        check_spec(target, spec)
        return plan(target, spec, poll=self._poll)
