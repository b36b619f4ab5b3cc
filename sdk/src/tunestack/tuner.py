"""The way in: `Tuner` finds the deployment and hands out jobs and endpoints."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from tunestack import catalog, hyperparameters, records
from tunestack.discovery import find_deployment, find_region, require_region
from tunestack.endpoints import Endpoint, base_of, conversation
from tunestack.errors import ConfigError
from tunestack.jobs import Job
from tunestack.provider import JobRequest, JobState
from tunestack.providers.bedrock import Bedrock
from tunestack.providers.clients import Clients
from tunestack.waiting import Poll

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.catalog import BaseModel
    from tunestack.contract import Deployment
    from tunestack.provider import JobInfo, Provider
    from tunestack.records.read import Source

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,29}")
_ATTEMPT = re.compile(r"-(\d+)$")


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
        """
        self._stage = stage
        self._region = deployment.region if deployment else region
        self._session = session or boto3.Session()
        self._clients = Clients(self._session)
        self._poll = poll or Poll()
        self._deployments = {deployment.region: deployment} if deployment else {}
        self._providers: dict[str, Provider] = {}

    def submit(
        self,
        model: str,
        data: Source,
        *,
        data_format: str | None = None,
        hyperparameters: Mapping[str, object] | None = None,
        validation_data: Source | None = None,
        s3_path: str | None = None,
        name: str = "tunestack",
        tags: Mapping[str, str] | None = None,
        rerun: bool = False,
    ) -> Job:
        """Submit a fine-tuning job; billed by the token trained (tokens of the file x epochs).

        Everything that can be known is checked before anything is uploaded.
        Submitting the same again, from anywhere, returns the same job; one that failed or was stopped is tried anew.

        Args:
            model: a base model by any of its names (`nova-micro`, `bedrock/us.amazon.nova-micro-v1:0`, ...), or the ARN
                of a tuned model, or of its endpoint, to tune it further.
            data: a path to a `.jsonl` or `.jsonl.gz` file, or any iterable of dicts, in `data_format`.
            data_format: `chat` (`{"messages": [...]}`) or `completion` (`{"prompt", "completion"}`); told by the first record if not given.
            hyperparameters: by the vendor's names, see `tunestack models`.
            validation_data: like `data`; not every model takes it.
            s3_path: where to put the data: a folder, or the file's own place if it ends in `.jsonl`; the job role must be allowed to read there.
            name: what the names of job and tuned model begin with.
            tags: for the job and the tuned model, beside Tunestack's own.
            rerun: start another job although an equal one runs or has succeeded; it is billed again.

        Raises:
            ModelError: the model can't be tuned, or not in this region; names those that can.
            HyperparameterError: a name or value that the model does not take.
            DataError: the data has problems; names every line.
            ConfigError: any other argument or setting is wrong; `ContractError` when nothing is deployed.
            ProviderError: AWS refused or failed.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"name {name!r} is not possible: use 1 to 30 letters and digits, single hyphens between"
            )
        base, identifier, deployment = self._resolve(model)
        values = _resolved(base, hyperparameters or {})
        provider = self._provider(deployment)
        with tempfile.TemporaryDirectory(prefix="tunestack-") as folder:
            training = records.prepare(
                data, base, Path(folder, "training.jsonl"), data_format=data_format
            )
            validation = validation_data and records.prepare(
                validation_data,
                base,
                Path(folder, "validation.jsonl"),
                data_format=data_format,
                validation=True,
            )
            digest = _digest(
                identifier,
                values,
                training.sha256,
                validation.sha256 if isinstance(validation, records.Dataset) else None,
                deployment.job_role_arn,
                s3_path,
            )
            stem = f"{name}-{base.key}-{digest}".replace(".", "-")
            earlier = next(_attempts(provider, stem), None)
            if earlier and not rerun and earlier.state not in {JobState.FAILED, JobState.STOPPED}:
                logger.info("job %s is there already", earlier.name)
                return self._handle(deployment, provider, provider.job(earlier.id))
            request = JobRequest(
                base_model=identifier,
                training_data=provider.upload(
                    training.path, sha256=training.sha256, location=s3_path
                ),
                validation_data=provider.upload(
                    validation.path, sha256=validation.sha256, location=s3_path
                )
                if isinstance(validation, records.Dataset)
                else None,
                hyperparameters=values,
                name=f"{stem}-{_attempt(earlier) + 1}",
                output=f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}",
                tags={**(tags or {}), **_own_tags(deployment), "tunestack:base-model": base.key},
            )
        job_id = provider.create_job(request)
        logger.info("job %s was submitted: %d records", request.name, training.records)
        return self._handle(deployment, provider, provider.job(job_id))

    def job(self, job_id: str) -> Job:
        """Attach to a job by its id (on Bedrock its ARN, or its name in the region).

        Raises:
            NotFoundError: there is none.
        """
        deployment = self._deployment(_region_of(job_id))
        provider = self._provider(deployment)
        return self._handle(deployment, provider, provider.job(job_id))

    def jobs(self, *, name_contains: str | None = None) -> Iterator[Job]:
        """List the jobs of the account in the region, the newest first."""
        deployment = self._deployment(None)
        provider = self._provider(deployment)
        for info in provider.jobs(name_contains=name_contains):
            yield self._handle(deployment, provider, info)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Attach to an endpoint by its ARN, or its name in the region.

        Raises:
            NotFoundError: there is none.
        """
        provider = self._provider(self._deployment(_region_of(endpoint_id)))
        return Endpoint(provider, provider.endpoint(endpoint_id), poll=self._poll)

    def endpoints(self, *, model: str | None = None) -> Iterator[Endpoint]:
        """List the endpoints of the account in the region, of both kinds, or those of one tuned model."""
        provider = self._provider(self._deployment(_region_of(model or "")))
        for info in provider.endpoints(model=model):
            yield Endpoint(provider, info, poll=self._poll)

    def invoke(self, endpoint_id: str, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask an endpoint, by its ARN or name; on demand, billed by the token."""
        endpoint = self.endpoint(endpoint_id)
        return endpoint.invoke(conversation(messages))

    def _resolve(self, model: str) -> tuple[BaseModel, str, Deployment]:
        """Tell the base model, what the job is created with, and where."""
        today = datetime.now(UTC).date()
        arn = model[model.find("arn:") :] if "arn:" in model else ""
        if arn and ":foundation-model/" not in arn:
            deployment = self._deployment(_region_of(arn))
            if ":custom-model/" not in arn:
                arn = self._provider(deployment).endpoint(arn).model
            base, identifier = base_of(arn), arn
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

    def _deployment(self, region: str | None) -> Deployment:
        region = region or require_region(self._session, self._region)
        if region not in self._deployments:
            self._deployments[region] = find_deployment(
                self._clients, stage=self._stage, region=region
            )
        return self._deployments[region]

    def _provider(self, deployment: Deployment) -> Provider:
        if deployment.region not in self._providers:
            self._providers[deployment.region] = Bedrock(self._clients, deployment)
        return self._providers[deployment.region]

    def _handle(self, deployment: Deployment, provider: Provider, info: JobInfo) -> Job:
        return Job(provider, info, tags=_own_tags(deployment), poll=self._poll)


def _resolved(base: BaseModel, given: Mapping[str, object]) -> dict[str, str]:
    # The parameter of `submit` hides the module.
    return hyperparameters.resolve(base, given)


def _attempts(provider: Provider, stem: str) -> Iterator[JobInfo]:
    """List the jobs of the same content, the latest attempt first."""
    same = [
        info for info in provider.jobs(name_contains=stem) if _ATTEMPT.sub("", info.name) == stem
    ]
    yield from sorted(same, key=_attempt, reverse=True)


def _attempt(info: JobInfo | None) -> int:
    match = _ATTEMPT.search(info.name) if info else None
    return int(match[1]) if match else 0


def _own_tags(deployment: Deployment) -> dict[str, str]:
    stage = {"tunestack:stage": deployment.stage} if deployment.stage else {}
    return {"tunestack:managed-by": "tunestack", **stage}


def _digest(*content: object) -> str:
    """Tell requests apart by what decides their result, in 16 hex digits."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _region_of(identifier: str) -> str | None:
    """Tell the region that an ARN names."""
    parts = identifier.split(":")
    return parts[3] if identifier.startswith("arn:") and len(parts) > 5 else None
