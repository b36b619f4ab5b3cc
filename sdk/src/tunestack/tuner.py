"""The way in: `Tuner` finds the deployment and hands out jobs and endpoints."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.arguments import OWN_TAGS, bare, checked, checked_id, checked_tags, region_of
from tunestack.contract import STAGE_TAG
from tunestack.discovery import (
    find_deployment,
    find_region,
    find_stage,
    published,
    require_region,
)
from tunestack.endpoints import Endpoint
from tunestack.errors import (
    ConfigError,
    ConflictError,
    ContractError,
    InvalidRequestError,
    ModelError,
    NotFoundError,
    TunestackError,
    shortened,
)
from tunestack.hyperparameters import complete, resolve
from tunestack.jobs import SUBMITTED, Job
from tunestack.provider import JobInfo, JobRequest, JobState
from tunestack.providers.bedrock import Bedrock
from tunestack.providers.clients import Clients, new_session
from tunestack.records import Dataset, Severity, check_together, prepare
from tunestack.waiting import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import boto3

    from tunestack.catalog import BaseModel
    from tunestack.contract import Deployment
    from tunestack.provider import Provider
    from tunestack.records.source import Source

logger = logging.getLogger(__name__)

# With the model's key, the digest and the attempt it stays below the 63 characters that Bedrock allows.
_NAME = re.compile(r"(?=.{1,20}$)[a-zA-Z0-9](-?[a-zA-Z0-9])*")
_BASES = (":foundation-model/", ":inference-profile/")
_ENDPOINTS = (":custom-model-deployment/", ":provisioned-model/")
_LOGGED = 5
"""Warnings of training data that are logged one by one."""
# Submitting the same again finds a job in one of these; a new attempt is made where there is none.
_ALIVE = frozenset({JobState.PENDING, JobState.RUNNING, JobState.SUCCEEDED, JobState.UNKNOWN})


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
        self._stage = checked("stage", stage, str) if stage is not None else None
        self._region = deployment.region if deployment else region
        self._session = session or new_session()
        self._clients = Clients(self._session)
        self._poll = poll or Poll()
        self._given = deployment is not None
        self._deployments = {deployment.region: deployment} if deployment else {}

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

        Raises:
            ModelError: the model can't be tuned, or not in this region; names those that can.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems; names every line.
            ConfigError: any other argument or setting is wrong; `ContractError` when nothing is deployed.
            ProviderError: AWS refused or failed.
        """
        tags = checked_tags({} if tags is None else tags)
        checked("rerun", rerun, bool)
        if not _NAME.fullmatch(checked("name", name, str)):
            raise ConfigError(
                f"name {shortened(name)} is not possible: "
                "use 1 to 20 letters and digits, single hyphens between"
            )
        if s3_path is not None:
            one_file = checked("s3_path", s3_path, str).endswith(".jsonl")
            if one_file and validation_data is not None:
                raise ConfigError(
                    f"s3_path {shortened(s3_path)} is one file, and there are training "
                    "and validation data: use a folder"
                )
        base, identifier, deployment = self._resolve(checked("model", model, str))
        values = resolve(base, {} if hyperparameters is None else hyperparameters)
        provider = self._provider(deployment)
        if s3_path is not None:
            provider.check_location(s3_path)
        with tempfile.TemporaryDirectory(prefix="tunestack-") as folder:
            prepared = partial(
                prepare,
                model=base,
                data_format=data_format,
                record_format=record_format,
                on_loss=on_loss,
                ignore=ignore,
                owner=deployment.account or None,
            )
            training, validation = _prepared(
                prepared, provider, data, validation_data, Path(folder)
            )
            digest = _digest(identifier, complete(base, values), training, validation)
            attempts = list(provider.jobs(name_contains=digest))
            alive = None if rerun else _newest_alive(attempts)
            if alive is not None:
                logger.info("job %s is there already", alive.name)
                return self._handle(provider, provider.job(alive.id))
            number = 1 + max(map(_attempt, attempts), default=0)

            def upload(dataset: Dataset) -> str:
                return provider.upload(dataset.path, sha256=dataset.sha256, location=s3_path)

            request = JobRequest(
                base_model=identifier,
                training_data=upload(training),
                validation_data=None if validation is None else upload(validation),
                hyperparameters=values,
                name=f"{name}-{base.key}-{digest}-{number}",
                key=f"{digest}-{number}",
                output=f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}",
                tags={
                    **tags,
                    **_own_tags(find_stage(deployment.stage or self._stage)),
                    f"{OWN_TAGS}base-model": base.key,
                },
            )
        try:
            job_id = provider.create_job(request)
        except (ConflictError, InvalidRequestError):
            # Somebody was faster with the same content under another name: it is the one job.
            faster = _newest_alive(list(provider.jobs(name_contains=digest)))
            if rerun or faster is None:
                raise
            return self._handle(provider, provider.job(faster.id))
        logger.info("job %s was submitted: %d records", request.name, training.records)
        return self._handle(provider, _submitted(job_id, request))

    def job(self, job_id: str) -> Job:
        """Attach to a job by its id (on Bedrock its ARN, or its name in the region).

        Raises:
            NotFoundError: there is none.
        """
        job_id = checked_id("job id", job_id)
        provider = self._anywhere(region_of(job_id))
        return self._handle(provider, provider.job(job_id))

    def jobs(self, *, name_contains: str | None = None) -> Iterator[Job]:
        """List the jobs of the account in the region, the newest first."""
        provider = self._anywhere(None)
        for info in provider.jobs(name_contains=name_contains):
            yield self._handle(provider, info)

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
        said = self._provider(deployment).lifecycle(base)
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
            return self._provider(deployment).endpoint(arn).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(arn)} is gone, and with it what it served: "
                "pass the tuned model (job.model)"
            ) from error

    def _deployment(self, region: str | None) -> Deployment:
        region = region or require_region(self._session, self._region)
        if region not in self._deployments:
            self._deployments[region] = find_deployment(
                self._clients, stage=self._stage, region=region
            )
        return self._deployments[region]

    def _provider(self, deployment: Deployment) -> Provider:
        return self._bedrock(deployment.region)

    def _anywhere(self, region: str | None) -> Provider:
        """Return Bedrock in a region, deployed or not: what runs and is billed can always be seen and stopped."""
        region = region or require_region(self._session, self._region)
        return self._bedrock(region)

    def _bedrock(self, region: str) -> Bedrock:
        return Bedrock(
            self._clients,
            region,
            deployment=partial(self._deployment, region),
            guarded=partial(self._guarded, region),
        )

    def _guarded(self, region: str) -> Deployment:
        """Find the deployment with its guard, of which bucket and role alone say nothing."""
        deployment = self._deployment(region)
        if deployment.guard_arn is None and not self._given:
            stage = find_stage(deployment.stage or self._stage)
            with suppress(TunestackError):
                found = published(self._clients, stage=stage, region=region)
                if found.data_bucket == deployment.data_bucket:
                    self._deployments[region] = found
        return self._deployments[region]

    def _handle(self, provider: Provider, info: JobInfo) -> Job:
        tags = partial(self._endpoint_tags, region_of(info.id))
        return Job(provider, info, tags=tags, poll=self._poll)

    def _endpoint_tags(self, region: str | None) -> Mapping[str, str]:
        try:
            stage = self._deployment(region).stage
        except ContractError:  # nothing is deployed, and an endpoint needs nothing of it
            stage = None
        return _own_tags(find_stage(stage or self._stage))

    def __getstate__(self) -> dict[str, object]:
        """Keep what was said, and leave out credentials and clients: they are found anew where it is loaded."""
        (deployment,) = self._deployments.values() if self._given else (None,)
        return {"stage": self._stage, "region": self._region, "deployment": deployment}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the environment anew."""
        Tuner.__init__(self, **state)


def _prepared(
    prepared: Callable[..., Dataset],
    provider: Provider,
    data: Source,
    validation_data: Source | None,
    folder: Path,
) -> tuple[Dataset, Dataset | None]:
    def opened(source: Source) -> Source:
        if isinstance(source, str) and source.startswith("s3://"):
            return provider.open(source)
        return source

    training = prepared(opened(data), path=folder / "training.jsonl")
    _log(training, "training data")
    if validation_data is None:
        return training, None
    validation = prepared(
        opened(validation_data), path=folder / "validation.jsonl", validation=True
    )
    _log(validation, "validation data")
    for warning in check_together(training, validation):
        logger.warning("%s", warning)
    return training, validation


def _log(dataset: Dataset, what: str) -> None:
    """Say what a job does not fail on and a person should know."""
    report = dataset.report
    for problem in report.warnings[:_LOGGED]:
        logger.warning("%s: %s", what, problem)
    count = report.counted(Severity.WARNING)
    if count > _LOGGED:
        logger.warning("%s: %d more warnings", what, count - _LOGGED)
    for place, times in report.losses.items():
        logger.warning("%s: left out %d times, as was asked for: %s", what, times, place)


def _submitted(job_id: str, request: JobRequest) -> JobInfo:
    """Describe a job that was just created, which the vendor may not show at once."""
    return JobInfo(
        id=job_id,
        name=request.name,
        state=JobState.PENDING,
        raw_state=SUBMITTED,
        base_model=request.base_model,
        hyperparameters=request.hyperparameters,
        training_data=request.training_data,
        output=request.output,
    )


def _newest_alive(attempts: list[JobInfo]) -> JobInfo | None:
    """Choose the job that an equal request is answered with: the latest attempt that runs or has succeeded."""
    alive = [info for info in attempts if info.state in _ALIVE]
    return max(alive, key=_attempt, default=None)


def _attempt(info: JobInfo) -> int:
    number = info.name.rsplit("-", 1)[-1]
    return int(number) if number.isdecimal() else 0


def _own_tags(stage: str) -> dict[str, str]:
    return {f"{OWN_TAGS}managed-by": "tunestack", STAGE_TAG: stage}


def _digest(
    model: str, values: Mapping[str, str], training: Dataset, validation: Dataset | None
) -> str:
    """Tell requests apart by what decides their result, in 16 hex digits."""
    content = [model, values, training.sha256, validation and validation.sha256]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
