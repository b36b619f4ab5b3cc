"""The way in: `Tuner` finds the deployment and hands out jobs and endpoints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.arguments import bare, checked, checked_id, checked_tags, region_of
from tunestack.cost import checked_most
from tunestack.discovery import Deployments, find_region, find_stage, require_region
from tunestack.endpoints import Endpoint
from tunestack.errors import ConfigError, ContractError, ModelError, NotFoundError, shortened
from tunestack.following import follow
from tunestack.hyperparameters import resolve
from tunestack.jobs import TIMEOUT, Job
from tunestack.preflight import check_model
from tunestack.provider import JobState
from tunestack.providers.bedrock import Bedrock
from tunestack.providers.clients import Clients, new_session
from tunestack.submitting import Submission, estimate, own_tags, submit
from tunestack.waiting import Poll

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import boto3

    from tunestack.catalog import BaseModel
    from tunestack.contract import Deployment
    from tunestack.cost import Cost
    from tunestack.provider import Check, JobInfo, Provider
    from tunestack.records.source import Source

# With the model's key, the digest and the attempt it stays below the 63 characters that Bedrock allows.
_NAME = re.compile(r"(?=.{1,20}$)[a-zA-Z0-9](-?[a-zA-Z0-9])*")
_BASES = (":foundation-model/", ":inference-profile/")
_ENDPOINTS = (":custom-model-deployment/", ":provisioned-model/")


class Tuner:
    """Fine-tunes models with what `cdk deploy` set up.

    Everything is found on its own: argument, environment (`eval "$(tunestack env)"`), or the stage's SSM parameter.
    Nothing is called before it is needed.
    """

    def __init__(
        self,
        stage: str | None = None,
        *,
        region: str | None = None,
        deployment: Deployment | None = None,
        session: boto3.Session | None = None,
        poll: Poll | None = None,
    ) -> None:
        """Say where to work, as far as the environment does not.

        Args:
            stage: the stage that was deployed; `TUNESTACK_STAGE` or `dev` if not given.
            region: where to tune; the environment's, or else the one where the model can be tuned.
            deployment: what was deployed, instead of looking it up; decides the region.
            session: whose credentials to use; boto3's default if not given.
            poll: how to wait.

        Raises:
            ConfigError: the AWS profile or configuration file is wrong.
        """
        self._region = deployment.region if deployment else region
        self._session = session or new_session()
        renew = new_session if session is None else None
        self._clients = Clients(self._session, renew=renew)
        self._poll = poll or Poll()
        self._deployments = Deployments(
            self._clients,
            stage=None if stage is None else checked("stage", stage, str),
            given=deployment,
        )

    def submit(
        self,
        model: str,
        data: Source,
        *,
        data_format: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        validation_data: Source | None = None,
        record_format: str | None = None,
        on_loss: str = "error",
        ignore: Collection[str] = (),
        s3_path: str | None = None,
        name: str = "tunestack",
        tags: Mapping[str, str] | None = None,
        rerun: bool = False,
        max_cost: float | None = None,
    ) -> Job:
        """Submit a fine-tuning job; billed by the token trained (tokens of the file x epochs).

        What can be known is checked before anything is uploaded.
        The same model, data and hyperparameters, submitted again from anywhere, are the same job, whatever the other
        arguments; a job that failed or was stopped is tried anew.

        Args:
            model: a base model by any of its names (`nova-micro`, `bedrock/us.amazon.nova-micro-v1:0`, ...), or the ARN
                of a tuned model, or of its endpoint, to tune it further.
            data: a path or an `s3://` URI of a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts, in `data_format`.
            data_format: `chat` (`{"messages": [...]}`), `completion` (`{"prompt", "completion"}`), or another of
                `tunestack.records.SourceFormat`; told by the first record if not given.
            hyperparameters: by the vendor's names, see `tunestack models`.
            validation_data: like `data`; not every model takes it.
            record_format: what records are written in, where the model learns from more than one format.
            on_loss: `error`, or `report`: what the model's format can't carry is left out, and logged.
            ignore: rules that are not to be held against the data, see docs/training-data-rules.md.
            s3_path: where to put the data: a folder, or the file's own place if it ends in `.jsonl`; the job role must be allowed to read there.
            name: what the names of job and tuned model begin with; at most 20 characters.
            tags: for the job and the tuned model, beside Tunestack's own.
            rerun: start another job although an equal one runs or has succeeded; it is billed again.
            max_cost: US dollars that training may cost, by an estimate of its tokens and the prices that are known.

        Raises:
            ModelError: the model can't be tuned, or not in this region; names those that can.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems; names every line.
            ConfigError: any other argument or setting is wrong; `ContractError` when nothing is deployed, `CostError` when
                it would cost more than `max_cost`, or nobody knows.
            ProviderError: AWS refused or failed.
        """
        deployment, wanted = self._wanted(
            model,
            data,
            hyperparameters,
            validation_data=validation_data,
            data_format=data_format,
            record_format=record_format,
            on_loss=on_loss,
            ignore=ignore,
            location=s3_path,
            name=name,
            tags=checked_tags({} if tags is None else tags),
            rerun=checked("rerun", rerun, bool),
            max_cost=None if max_cost is None else checked_most(max_cost),
        )
        provider = self._bedrock(deployment.region)
        return self._handle(provider, submit(provider, wanted))

    def cost(
        self,
        model: str,
        data: Source,
        *,
        data_format: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        record_format: str | None = None,
    ) -> Cost:
        """Tell what a job would cost; nothing is uploaded, created or billed. The arguments are those of `submit`.

        Raises:
            ModelError: the model can't be tuned, or not in this region.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems.
        """
        deployment, wanted = self._wanted(
            model, data, hyperparameters, data_format=data_format, record_format=record_format
        )
        return estimate(self._bedrock(deployment.region), wanted)

    def preflight(self, model: str | None = None) -> list[Check]:
        """Check what can be known before money is spent: credentials, clock, deployment, bucket, role, guard, quotas, model.

        Nothing is changed, and nothing is billed. What the caller may not read is unknown, and the check says so.

        Args:
            model: a base model by any of its names; without one, what every model needs is checked.

        Raises:
            ModelError: no base model is called so.
            ConfigError: there is no region to check.
        """
        base = None if model is None else catalog.find(checked("model", model, str))
        if model is not None and base is None:
            raise ModelError(f"no model is called {shortened(model)}: see `tunestack models`")
        region = self._region or find_region(self._session)
        if region is None and base is not None and base.regions:
            region = base.regions[0]
        region = require_region(self._session, region)
        provider = self._bedrock(region)
        found = list(provider.checks(base))
        return found if base is None else [*found, check_model(provider, base, region)]

    def _wanted(
        self,
        model: str,
        data: Source,
        hyperparameters: Mapping[str, object] | None,
        *,
        name: str = "tunestack",
        tags: Mapping[str, str] | None = None,
        location: str | None = None,
        **how: Any,
    ) -> tuple[Deployment, Submission]:
        """Check what can be known of a job before its data is read."""
        if not _NAME.fullmatch(checked("name", name, str)):
            raise ConfigError(
                f"name {shortened(name)} is not possible: "
                "use 1 to 20 letters and digits, single hyphens between"
            )
        if location is not None:
            one_file = checked("s3_path", location, str).endswith(".jsonl")
            if one_file and how.get("validation_data") is not None:
                raise ConfigError(
                    f"s3_path {shortened(location)} is one file, and there are training "
                    "and validation data: use a folder"
                )
        base, identifier, deployment = self._resolve(checked("model", model, str))
        values = resolve(base, {} if hyperparameters is None else hyperparameters)
        if location is not None:
            self._bedrock(deployment.region).check_location(location)
        stage = find_stage(deployment.stage or self._deployments.stage)
        return deployment, Submission(
            model=base,
            identifier=identifier,
            hyperparameters=values,
            data=data,
            location=location,
            name=name,
            output=f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}",
            owner=deployment.account or None,
            tags={**(tags or {}), **own_tags(stage)},
            **how,
        )

    def job(self, job_id: str) -> Job:
        """Attach to a job by its id (on Bedrock its ARN, or its name in the region).

        Raises:
            NotFoundError: there is none.
        """
        job_id = checked_id("job id", job_id)
        provider = self._anywhere(region_of(job_id))
        return self._handle(provider, provider.job(job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: str | None = None,
        created_after: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Job]:
        """List the jobs of the account in the region, the newest first.

        Args:
            name_contains: only those whose name contains this.
            state: only those in this `JobState`.
            created_after: only those created since.
            tags: only those that carry all of these; costs a call for each job that is left by then.

        Raises:
            ConfigError: there is no such state, or the time has no time zone.
        """
        wanted = None if state is None else _state(state)
        if (
            created_after is not None
            and checked("created_after", created_after, datetime).tzinfo is None
        ):
            raise ConfigError(
                "created_after has no time zone: use datetime.now(UTC) - timedelta(...)"
            )
        found = self._anywhere(None)
        return self._listed(found, tags or {}, name_contains, wanted, created_after)

    def _listed(
        self,
        provider: Provider,
        tags: Mapping[str, str],
        name_contains: str | None,
        state: JobState | None,
        created_after: datetime | None,
    ) -> Iterator[Job]:
        for info in provider.jobs(
            name_contains=name_contains, state=state, created_after=created_after
        ):
            if not tags or tags.items() <= provider.job_tags(info.id).items():
                yield self._handle(provider, info)

    def follow(self, jobs: Iterable[Job], timeout: float = TIMEOUT) -> Iterator[Job]:
        """Give out each of many jobs when it has changed, until all have ended: one list a look, however many they are.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        return follow(list(jobs), timeout=timeout, poll=self._poll)

    def wait_all(self, jobs: Iterable[Job], timeout: float = TIMEOUT) -> list[Job]:
        """Wait until all of many jobs have ended, however they do: `job.last.state` tells, `job.require_success()` raises.

        Raises:
            JobTimeoutError: not all have ended after `timeout` seconds; they go on.
        """
        waited_for = list(jobs)
        for _ in self.follow(waited_for, timeout):
            pass
        return waited_for

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Attach to an endpoint by its ARN (also as DSPy calls it, `bedrock/converse/arn:...`), or its name in the region.

        Raises:
            NotFoundError: there is none.
        """
        endpoint_id = bare(checked_id("endpoint id", endpoint_id))
        provider = self._anywhere(region_of(endpoint_id))
        return Endpoint(provider, provider.endpoint(endpoint_id), poll=self._poll)

    def endpoints(self, *, model: str = "") -> Iterator[Endpoint]:
        """List the endpoints of the account in the region, of both kinds, or those of one tuned model.

        Raises:
            ConfigError: `model` is given and is no text, such as `job.model` of a job that has none.
        """
        # Checked at once, not at the first endpoint that is asked for.
        model = checked("model", model, str)
        return self._endpoints(model or None)

    def _endpoints(self, model: str | None) -> Iterator[Endpoint]:
        provider = self._anywhere(region_of(model or ""))
        for info in provider.endpoints(model=model):
            yield Endpoint(provider, info, poll=self._poll)

    def invoke(self, endpoint_id: str, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask an endpoint, by its ARN or name; see `Endpoint.invoke`."""
        return self.endpoint(endpoint_id).invoke(messages)

    def _resolve(self, model: str) -> tuple[BaseModel, str, Deployment]:
        """Tell the base model, what the job is created with, and where."""
        today = datetime.now(UTC).date()
        arn = bare(model)
        if arn.startswith("arn:") and not any(kind in arn for kind in _BASES):
            deployment = self._deployment(region_of(arn))
            identifier = self._tuned(arn, deployment)
            base = catalog.of_custom_model(identifier)
        else:
            region = self._region or find_region(self._session)
            base = catalog.require(model, on=today, provider="bedrock", region=region)
            deployment = self._deployment(region or base.regions[0])
            identifier = base.customization_id
        catalog.require(base.key, on=today, provider="bedrock", region=deployment.region)
        said = self._bedrock(deployment.region).lifecycle(base)
        catalog.require_living(base, on=today, said=said)
        catalog.require_allowed(base, deployment.base_models)
        return base, identifier, deployment

    def _tuned(self, arn: str, deployment: Deployment) -> str:
        """Tell the tuned model that an ARN names, itself or by its endpoint."""
        if ":custom-model/" in arn:
            return arn
        if not any(kind in arn for kind in _ENDPOINTS):
            raise ModelError(
                f"{shortened(arn)} is no model: pass a base model, a tuned one (job.model), "
                "or the endpoint of one"
            )
        try:
            return self._bedrock(deployment.region).endpoint(arn).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(arn)} is gone, and with it what it served: "
                "pass the tuned model (job.model)"
            ) from error

    def _deployment(self, region: str | None) -> Deployment:
        return self._deployments.find(region or require_region(self._session, self._region))

    def _anywhere(self, region: str | None) -> Provider:
        """Return Bedrock in a region, deployed or not: what runs and is billed can always be seen and stopped."""
        return self._bedrock(region or require_region(self._session, self._region))

    def _bedrock(self, region: str) -> Bedrock:
        return Bedrock(
            self._clients,
            region,
            deployment=partial(self._deployments.find, region),
            guarded=partial(self._deployments.guarded, region),
        )

    def _handle(self, provider: Provider, info: JobInfo) -> Job:
        tags = partial(self._endpoint_tags, region_of(info.id))
        return Job(provider, info, tags=tags, poll=self._poll)

    def _endpoint_tags(self, region: str | None) -> Mapping[str, str]:
        try:
            stage = self._deployment(region).stage
        except ContractError:  # nothing is deployed, and an endpoint needs nothing of it
            stage = None
        return own_tags(find_stage(stage or self._deployments.stage))

    def __getstate__(self) -> dict[str, object]:
        """Keep what was said, and leave out credentials and clients: they are found anew where it is loaded."""
        return {
            "stage": self._deployments.stage,
            "region": self._region,
            "deployment": self._deployments.given,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the environment anew."""
        Tuner.__init__(self, **state)


def _state(state: str) -> JobState:
    try:
        return JobState(state)
    except ValueError as error:
        raise ConfigError(
            f"state {shortened(state)} is none: use one of {', '.join(JobState)}"
        ) from error
