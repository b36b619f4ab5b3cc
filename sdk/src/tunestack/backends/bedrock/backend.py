"""Amazon Bedrock."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tunestack import catalog
from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.arn import Arn, check_bedrock_id
from tunestack.backends.bedrock.checks import checks
from tunestack.backends.bedrock.errors import translated
from tunestack.backends.bedrock.events import JobEvents
from tunestack.backends.bedrock.guard import ScheduledGuard, with_expiry
from tunestack.backends.bedrock.models import BedrockModels
from tunestack.backends.bedrock.quotas import explained, require_job_slot
from tunestack.backends.bedrock.s3 import Location, Store, open_object
from tunestack.backends.identifiers import IdKind
from tunestack.catalog import LifecycleState, Serving
from tunestack.deployment import STAGE_TAG
from tunestack.errors import (
    AccessError,
    ConfigError,
    DeploymentError,
    NotFoundError,
    TransientError,
    TunestackError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from threading import Event

    from types_boto3_bedrock import BedrockClient
    from types_boto3_bedrock_runtime import BedrockRuntimeClient

    from tunestack.backends.base import (
        Check,
        EndpointInfo,
        EndpointRequest,
        Guard,
        JobInfo,
        JobRequest,
        JobState,
    )
    from tunestack.backends.bedrock.clients import Clients
    from tunestack.catalog import BaseModel
    from tunestack.deployment import Deployment

_PAGE = 1000


class BedrockBackend(BedrockModels):
    """`Backend`, `EndpointHost` and `EventSource` on Amazon Bedrock, in one region of one account."""

    serving = (Serving.PROVISIONED, Serving.ON_DEMAND)
    has_idempotency_tokens = True

    def __init__(
        self,
        clients: Clients,
        region: str,
        *,
        deployment: Callable[[], Deployment],
        guarded: Callable[[], Deployment],
    ) -> None:
        """Take who calls and where; no call is made here.

        Args:
            clients: who calls.
            region: where.
            deployment: finds what `cdk deploy` made there; only new jobs need it.
            guarded: finds the same, with its guard if there is one; only endpoints that are to end need it.
        """
        self._clients = clients
        self._region = region
        self._find = deployment
        self._find_guarded = guarded
        self._events: JobEvents | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave out the queue's client, which is made again."""
        return {**self.__dict__, "_events": None}

    @property
    def scope(self) -> str:
        """The region."""
        return self._region

    @property
    def _deployment(self) -> Deployment:
        return self._find()

    @property
    def _control(self) -> BedrockClient:
        return cast("BedrockClient", self._clients.get("bedrock", self._region))

    @property
    def _runtime(self) -> BedrockRuntimeClient:
        return cast("BedrockRuntimeClient", self._clients.get("bedrock-runtime", self._region))

    def _store(self, owner: str) -> Store:
        return Store(self._clients.get("s3", self._region), owner)

    def base(self, identifier: str) -> BaseModel:
        """Tell the base model of its id, or of the ARN of a tuned one."""
        return catalog.find(identifier) or catalog.of_custom_model(identifier)

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Ask Bedrock where a base model stands; `None` when the caller may not ask, or Bedrock does not say."""
        try:
            with translated("listing the models that can be tuned"):
                answer = self._control.list_foundation_models(byCustomizationType="FINE_TUNING")
        except (AccessError, TransientError):
            return None
        states = {
            row["modelId"]: row.get("modelLifecycle", {}).get("status")
            for row in answer.get("modelSummaries", ())
        }
        if not states:
            return None
        known: Mapping[str | None, LifecycleState] = {
            "ACTIVE": LifecycleState.ACTIVE,
            "LEGACY": LifecycleState.LEGACY,
        }
        for identifier in (model.customization_id, *model.inference_ids):
            if identifier in states:
                return known.get(states[identifier])
        return LifecycleState.RETIRED

    def check_location(self, location: str) -> None:
        """Refuse what is no S3 location, or one where the job role may not read."""
        self._place("0" * 64, location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Take those that AWS's rules let through, as all do that come here."""

    def open(self, uri: str) -> BinaryIO:
        """Open an object in S3; a bucket that is not whose it must be is refused."""
        client = self._clients.get("s3", self._region)
        bucket = uri.removeprefix("s3://").partition("/")[0]
        return open_object(client, uri, owner=self._deployment.owner(bucket))

    def upload(self, path: Path, *, sha256: str, location: str | None) -> str:
        """Put a training file into S3 and return its URI.

        Without a location it goes below the deployment's data prefix, named after its content.
        A location that ends in `.jsonl` is the file's own place, any other the folder for it.

        Raises:
            ConfigError: the job role may not read there.
            ConflictError: there is other data at that place.
        """
        place = self._place(sha256, location)
        owner = self._deployment.owner(place.bucket)
        self._store(owner).put(path, place, sha256=sha256)
        return str(place)

    def _place(self, sha256: str, location: str | None) -> Location:
        name = f"{sha256}.jsonl"
        if location is None:
            return Location(self._deployment.data_bucket, self._deployment.datasets_prefix + name)
        place = Location.parse(location)
        if not place.key.endswith(".jsonl"):
            folder = place.key.removesuffix("/")
            place = Location(place.bucket, f"{folder}/{name}" if folder else name)
        readable = self._deployment.data_locations
        if readable and not str(place).startswith(readable):
            raise ConfigError(
                f"s3_path {location!r} is where the job role may not read: "
                f"use a place below {', '.join(readable)}"
            )
        return place

    def create_job(self, request: JobRequest) -> str:
        """Create a customization job and return its ARN; billed by the token trained."""
        arguments = wire.create_job(request, self._deployment)
        with (
            explained(self._clients, self._region, "job"),
            translated(f"creating job {request.name!r}"),
        ):
            answer: Mapping[str, Any] = self._control.create_model_customization_job(**arguments)
        # A repeated token may be answered with nothing: then it is there under its name.
        return answer.get("jobArn") or request.name

    def job(self, job_id: str) -> JobInfo:
        """Observe one job, by ARN or name."""
        with translated(f"looking at job {job_id!r}"):
            return wire.job_info(self._control.get_model_customization_job(jobIdentifier=job_id))

    def jobs(
        self,
        *,
        name_contains: str | None = None,
        state: JobState | None = None,
        created_after: datetime | None = None,
    ) -> Iterator[JobInfo]:
        """List the customization jobs, the newest first."""
        wanted = wire.list_jobs(name_contains, state, created_after)
        pages = self._control.get_paginator("list_model_customization_jobs").paginate(
            **wanted, PaginationConfig={"PageSize": _PAGE}
        )
        with translated("listing jobs"):
            for page in pages:
                for row in page.get("modelCustomizationJobSummaries", ()):
                    info = wire.job_info(row)
                    if state in (None, info.state):
                        yield info

    def attempts(self, content: str) -> Iterator[JobInfo]:
        """List the jobs that were created for a content, which is part of their names."""
        return self.jobs(name_contains=content)

    def job_tags(self, job_id: str) -> Mapping[str, str]:
        """Read the tags of a job, by ARN."""
        return self._tags("job", job_id)

    def _tags(self, kind: str, arn: str) -> Mapping[str, str]:
        with translated(f"reading the tags of {kind} {arn!r}"):
            rows = self._control.list_tags_for_resource(resourceARN=arn).get("tags", ())
        return {row["key"]: row["value"] for row in rows}

    def listen(
        self, job_ids: Collection[str], timeout: float, *, stop: Event | None = None
    ) -> bool:
        """Pause until there is an event of one of these jobs in the stage's queue."""
        if self._events is None:
            try:
                queue = self._deployment.event_queue_url
            except TunestackError:
                queue = None
            self._events = JobEvents(self._clients, self._region, queue)
        return self._events.listen(job_ids, timeout, stop=stop)

    def stop_job(self, job_id: str) -> None:
        """Stop a job for good: no model comes of it, and what was trained is billed."""
        with translated(f"stopping job {job_id!r}"):
            self._control.stop_model_customization_job(jobIdentifier=job_id)

    def metrics(self, job: JobInfo) -> Sequence[Mapping[str, float]]:
        """Read the losses: one row a step for training, then those of validation.

        Found by the files' names: three layouts of the folders have been seen.
        """
        if job.output is None:
            return []
        output = Location.parse(job.output)
        store = self._store(job.id.split(":")[4])
        folder = (
            f"{output.key.removesuffix('/')}/model-customization-job-{job.id.rsplit('/', 1)[1]}/"
        )
        keys = sorted(store.keys(Location(output.bucket, folder)))
        return [
            row
            for ending in ("step_wise_training_metrics.csv", "validation_metrics.csv")
            for key in keys
            if key.endswith(f"/{ending}")
            for row in store.rows(Location(output.bucket, key))
        ]

    def create_endpoint(self, request: EndpointRequest) -> str:
        """Create a deployment (free while idle) or provisioned throughput (billed by the hour); returns its ARN."""
        kind = "deployment" if request.serving is Serving.ON_DEMAND else "throughput"
        with (
            explained(self._clients, self._region, kind),
            translated(f"creating endpoint {request.name!r}"),
        ):
            if request.serving is Serving.ON_DEMAND:
                answer: Mapping[str, Any] = self._control.create_custom_model_deployment(
                    **wire.create_deployment(request)
                )
                arn = answer.get("customModelDeploymentArn")
            else:
                answer = self._control.create_provisioned_model_throughput(
                    **wire.create_throughput(request)
                )
                arn = answer.get("provisionedModelArn")
        # A repeated token may be answered with nothing: then it is there under its name.
        return arn or request.name

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:
        """Observe one endpoint, by ARN, or by name (then of the given kind, or of either)."""
        arn = Arn.parse(endpoint_id)
        if arn is not None and arn.resource_type == "custom-model-deployment":
            serving = Serving.ON_DEMAND
        elif arn is not None:
            serving = Serving.PROVISIONED
        if serving is None:
            with suppress(NotFoundError):
                return self.endpoint(endpoint_id, Serving.ON_DEMAND)
            return self.endpoint(endpoint_id, Serving.PROVISIONED)
        with translated(f"looking at endpoint {endpoint_id!r}"):
            if serving is Serving.ON_DEMAND:
                return wire.deployment_info(
                    self._control.get_custom_model_deployment(
                        customModelDeploymentIdentifier=endpoint_id
                    )
                )
            return wire.throughput_info(
                self._control.get_provisioned_model_throughput(provisionedModelId=endpoint_id)
            )

    def endpoints(
        self, *, model: str | None = None, serving: Serving | None = None
    ) -> Iterator[EndpointInfo]:
        """List the deployments and the provisioned throughputs, the newest of each first."""
        of: Any = {} if model is None else {"modelArnEquals": model}
        newest: Any = {"sortBy": "CreationTime", "sortOrder": "Descending", **of}
        deployments = self._control.get_paginator("list_custom_model_deployments")
        throughputs = self._control.get_paginator("list_provisioned_model_throughputs")
        with translated("listing endpoints"):
            if serving in (None, Serving.ON_DEMAND):
                for deployed in deployments.paginate(**newest):
                    for row in deployed.get("modelDeploymentSummaries", ()):
                        yield wire.deployment_info(row)
            if serving in (None, Serving.PROVISIONED):
                for provisioned in throughputs.paginate(**newest):
                    for bought in provisioned.get("provisionedModelSummaries", ()):
                        yield wire.throughput_info(bought)

    def delete_endpoint(self, endpoint: EndpointInfo) -> None:
        """Ask for a deployment or provisioned throughput to be deleted."""
        with translated(f"deleting endpoint {endpoint.name!r}"):
            if endpoint.serving is Serving.ON_DEMAND:
                self._control.delete_custom_model_deployment(
                    customModelDeploymentIdentifier=endpoint.id
                )
            else:
                self._control.delete_provisioned_model_throughput(provisionedModelId=endpoint.id)

    def update_endpoint(self, endpoint: EndpointInfo, model: str) -> None:
        """Point a deployment or provisioned throughput to another custom model of the same base."""
        model = check_bedrock_id(IdKind.MODEL, model)
        with translated(f"pointing endpoint {endpoint.name!r} to {model!r}"):
            if endpoint.serving is Serving.ON_DEMAND:
                self._control.update_custom_model_deployment(
                    customModelDeploymentIdentifier=endpoint.id, modelArn=model
                )
            else:
                self._control.update_provisioned_model_throughput(
                    provisionedModelId=endpoint.id, desiredModelId=model
                )

    def tag_endpoint(self, endpoint_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to an endpoint, by its ARN; the stage's is among them, without which nobody may."""
        stage = self._deployment.stage
        own = {} if stage is None else {STAGE_TAG: stage}
        with translated(f"tagging endpoint {endpoint_id!r}"):
            self._control.tag_resource(**wire.tag_resource(endpoint_id, {**tags, **own}))

    def with_expiry(self, endpoint: EndpointInfo) -> EndpointInfo:
        """Read from the tags, and from the limits of the stage, when the endpoint is deleted automatically."""
        tags = self._tags("endpoint", endpoint.id)
        deployment = None
        with suppress(TunestackError):
            deployment = self._find_guarded()
        return with_expiry(endpoint, tags, deployment)

    def check_quotas(self, *, queue: bool) -> None:
        """Raise `QuotaError` if no job can be created now (or ever, with a queue), as far as quotas can be read."""
        require_job_slot(self._clients, self._region, queue=queue)

    def checks(self, model: BaseModel | None) -> Iterator[Check]:
        """Check credentials, clock, deployment, bucket, role, guard and quotas; calls nothing that is billed."""
        return checks(self._clients, self._region, self._find_guarded, model)

    def guard(self) -> Guard | None:
        """Tell what the deployment has to end endpoints; `None` where nothing is deployed, or no guard."""
        try:
            deployment = self._find_guarded()
        except DeploymentError:
            return None
        return ScheduledGuard(self._clients, deployment) if deployment.guard_arn else None

    def now(self) -> datetime:
        """Tell the time by Bedrock's clock."""
        return self._clients.now(self._region)

    def invoke(self, endpoint_id: str, messages: Sequence[Mapping[str, str]]) -> str:
        """Send a conversation through Converse and return the answer's text; billed by the token on demand."""
        with translated(f"invoking {endpoint_id!r}"):
            answer = self._runtime.converse(**wire.converse(endpoint_id, messages))
        blocks = answer["output"].get("message", {}).get("content", [])
        return "".join(block.get("text", "") for block in blocks)
