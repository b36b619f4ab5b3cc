"""An AWS account: resolves models, jobs and endpoints, in the regions where a stage is deployed."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.backends.base import Check, Verdict
from tunestack.backends.bedrock.arn import Arn, check_bedrock_id, region_of, strip_route
from tunestack.backends.bedrock.backend import BedrockBackend
from tunestack.backends.bedrock.bills import read_billed_costs
from tunestack.backends.bedrock.clients import Clients, new_session
from tunestack.backends.bedrock.discovery import Deployments, find_region, require_region
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.offline import resolve_offline
from tunestack.backends.bedrock.prices import PriceReader
from tunestack.backends.identifiers import IdKind
from tunestack.backends.model_check import check_model
from tunestack.backends.protocols import Backend, DataStore, Target
from tunestack.deployment import REGION, STAGE_TAG
from tunestack.environment import snapshot
from tunestack.errors import (
    AccessError,
    ConfigError,
    DeploymentError,
    InvalidRequestError,
    ModelError,
    NotFoundError,
    TunestackError,
    shortened,
)
from tunestack.settings import region_code
from tunestack.spec.arguments import OWN_TAGS, check_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    import boto3

    from tunestack.backends.bills import BilledCosts, Granularity
    from tunestack.catalog import BaseModel
    from tunestack.deployment import Deployment

logger = logging.getLogger(__name__)

_MODEL_ACCESS = "https://{0}.console.aws.amazon.com/bedrock/home?region={0}#/modelaccess"
"""The page of the AWS console that shows which models the account has access to."""


class BedrockAccount:
    """`Account` and `BilledAccount` on AWS; nothing is called before it is needed.

    Attributes:
        session: the boto3 session that was passed, if any.
    """

    def __init__(
        self,
        *,
        stage: str | None,
        region: str | None,
        deployment: Deployment | None,
        session: boto3.Session | None,
        environment: Mapping[str, str],
    ) -> None:
        """Store the arguments; no call is made here.

        Args:
            stage: see `Tuner`, as for those that follow.
            region: as above.
            deployment: as above.
            session: as above.
            environment: the variables that decide what the arguments do not.

        Raises:
            ConfigError: `region` is not a region, or the AWS profile or configuration file is invalid.
        """
        if region is not None:
            region = region_code("region", check_type("region", region, str))
        self._region = deployment.region if deployment else region
        self.session = session
        self._session = session or new_session()
        self._environment = environment
        self._clients = Clients(
            self._session, environment, renew=new_session if session is None else None
        )
        self._deployments = Deployments(
            self._clients,
            environment,
            stage=None if stage is None else check_type("stage", stage, str),
            given=deployment,
        )
        self._price_reader = PriceReader(self._clients)
        self._backends: dict[str, BedrockBackend] = {}

    @property
    def arguments(self) -> dict[str, object]:
        """The arguments of `Tuner` that this account was created from, without the session."""
        return {
            "stage": self._deployments.stage,
            "region": self._region,
            "deployment": self._deployments.given,
        }

    def owns(self, identifier: str) -> bool:
        """Return whether this is an ARN."""
        return strip_route(identifier).startswith("arn:")

    def check_id(self, kind: IdKind, identifier: str) -> str:
        """Return the ARN or name; raise ConfigError if it can't be the id of this kind of resource."""
        return check_bedrock_id(kind, identifier)

    def resolve(self, model: str) -> Target[Backend]:
        """Find the base model, or the fine-tuned model to fine-tune further, and what is deployed for it."""
        today = datetime.now(UTC).date()
        if _is_custom(model):
            arn = check_bedrock_id(IdKind.SOURCE, model)
            deployment = self._deployment(region_of(arn))
            identifier = self._custom_model(arn, deployment.region)
            base = catalog.of_custom_model(identifier)
        else:
            region = self._region_for(model)
            base = catalog.require(model, on=today, provider="bedrock", region=region)
            deployment = self._deployment(region or base.regions[0])
            identifier = base.customization_id
        catalog.require(base.key, on=today, provider="bedrock", region=deployment.region)
        backend = self._backend(deployment.region)
        state = backend.lifecycle(base)
        catalog.require_living(base, on=backend.now().date(), service_state=state)
        catalog.require_allowed(base, deployment.base_models)
        return Target(
            base=base,
            identifier=identifier,
            backend=backend,
            output=f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}",
            owner=deployment.account or None,
            tags=_own_tags(self._deployments.stage_of(deployment)),
        )

    def resolve_offline(self, model: str) -> Target[DataStore]:
        """Find the base model, or that of a custom model, in the catalog; see `bedrock.offline`."""
        is_custom = _is_custom(model)
        return resolve_offline(
            check_bedrock_id(IdKind.SOURCE, model) if is_custom else model,
            is_custom=is_custom,
            region=self._region_for(model),
            clients=self._clients,
            price_reader=self._price_reader,
        )

    def connect(self, model: str) -> None:
        """Look up the deployment, and create the clients, that a job of a model needs; no error is raised here."""
        with suppress(TunestackError):
            base = catalog.find(model)
            region = region_of(model) or self._region_for(model)
            region = region or (base.regions[0] if base and base.regions else None)
            if region is not None:
                self._clients.open(region)
                self._deployments.find(region)

    def backend(self, identifier: str | None = None) -> BedrockBackend:
        """Return the backend of a region, even if nothing is deployed there: what is billed can always be listed and stopped."""
        region = region_of(identifier or "")
        return self._backend(
            region or require_region(self._session, self._region, self._environment)
        )

    @contextmanager
    def explain(self, identifier: str) -> Iterator[None]:
        """Name the accounts if an ARN is not found, or access is denied, because it belongs to another account."""
        try:
            yield
        except (AccessError, InvalidRequestError, NotFoundError) as error:
            arn = Arn.parse(identifier)
            if arn is None:
                raise
            own = arn.account
            with suppress(TunestackError), translate_errors("getting the caller's identity"):
                own = self._clients.get("sts", arn.region).get_caller_identity()["Account"]
            if own == arn.account:
                raise
            raise type(error)(
                f"{arn} belongs to account {arn.account}, the credentials to account {own}: use credentials of account "
                f"{arn.account} (set AWS_PROFILE to one of its profiles)",
                code=error.code,
                request_id=error.request_id,
            ) from error

    def endpoint_tags(self, job_id: str) -> Mapping[str, str]:
        """Return the tags of the stage."""
        try:
            deployment = self._deployment(region_of(job_id))
        except DeploymentError:  # endpoints don't need one
            deployment = None
        return _own_tags(self._deployments.stage_of(deployment))

    def preflight(self, model: BaseModel | None, name: str | None = None) -> list[Check]:
        """Check credentials, clock, deployment, bucket, role, guard, quotas, and the model."""
        try:
            region = self._region_for(name)
            if region is None and model is not None and model.regions:
                region = model.regions[0]
            region = require_region(self._session, region, self._environment)
        except ConfigError as error:
            fix = f"set {REGION} to the region of the stage, or pass region= (--region)"
            return [Check(name="region", verdict=Verdict.FAIL, detail=str(error), fix=fix)]
        backend = self._backend(region)
        results = list(backend.checks(model))
        if model is not None:
            check = check_model(backend, model, region)
            is_open = check.verdict is Verdict.PASS
            results.append(check if is_open else replace(check, link=_MODEL_ACCESS.format(region)))
        return results

    def billed_costs(
        self,
        start: date,
        end: date,
        *,
        granularity: Granularity,
        region: str | None,
        tags: Mapping[str, str],
    ) -> BilledCosts:
        """Read what AWS billed for Bedrock; no deployment is needed."""
        return read_billed_costs(
            self._clients, start, end, granularity=granularity, region=region, tags=tags
        )

    def __getstate__(self) -> dict[str, Any]:
        """Keep the arguments, and leave out the session and its credentials."""
        left_out = ("_session", "_environment", "session")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find credentials again."""
        self.__dict__.update(state)
        self._session, self._environment = self._clients.session, snapshot()
        self.session = None

    def _region_for(self, model: str | None) -> str | None:
        """Return the region for a model: the argument, the one in the model's name, or the environment's."""
        named = None if model is None else catalog.parse_name(model).region
        if self._region is not None or named is None:
            return self._region or find_region(self._session, self._environment)
        logger.info("using %s, the region in %s", named, shortened(model))
        return named

    def _custom_model(self, arn: str, region: str) -> str:
        """Return the ARN of the custom model, also for the ARN of its endpoint."""
        parsed = Arn.parse(arn)
        if parsed is None or not parsed.is_endpoint:
            return arn
        try:
            return self._backend(region).endpoint(arn).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(arn)} was deleted, so the model that it served is unknown: "
                "pass the fine-tuned model (job.model)"
            ) from error

    def _deployment(self, region: str | None) -> Deployment:
        return self._deployments.find(
            region or require_region(self._session, self._region, self._environment)
        )

    def _backend(self, region: str) -> BedrockBackend:
        if region not in self._backends:
            self._backends[region] = BedrockBackend(
                self._clients,
                region,
                find_deployment=partial(self._deployments.find, region),
                find_with_guard=partial(self._deployments.find_with_guard, region),
                price_reader=self._price_reader,
            )
        return self._backends[region]


def _is_custom(model: str) -> bool:
    """Return whether this is the ARN of a custom model or of its endpoint, not of a base model."""
    arn = Arn.parse(model)
    return strip_route(model).startswith("arn:") and not (arn and arn.is_base_model)


def _own_tags(stage: str) -> dict[str, str]:
    return {f"{OWN_TAGS}managed-by": "tunestack", STAGE_TAG: stage}
