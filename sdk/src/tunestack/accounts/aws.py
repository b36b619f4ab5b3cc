"""An AWS account, with what `cdk deploy` has set up in its regions."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.accounts.account import Target
from tunestack.accounts.catalog_target import CatalogTarget, bedrock_target
from tunestack.arguments import OWN_TAGS, bare, checked, is_endpoint, region_of
from tunestack.deployment import REGION, STAGE_TAG
from tunestack.discovery import Deployments, find_region, require_region
from tunestack.environment import snapshot
from tunestack.errors import (
    ConfigError,
    ContractError,
    ModelError,
    NotFoundError,
    TunestackError,
    shortened,
)
from tunestack.identifiers import SOURCE, bedrock_id
from tunestack.preflight import check_model
from tunestack.provider import Check, Verdict
from tunestack.providers.bedrock import Bedrock
from tunestack.providers.clients import Clients, new_session
from tunestack.settings import region_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from tunestack.catalog import BaseModel
    from tunestack.deployment import Deployment

logger = logging.getLogger(__name__)

_BASES = (":foundation-model/", ":inference-profile/")


class AwsAccount:
    """`tunestack.accounts.account.Account` on AWS; nothing is called before it is needed."""

    def __init__(
        self,
        *,
        stage: str | None,
        region: str | None,
        deployment: Deployment | None,
        session: boto3.Session | None,
        environment: Mapping[str, str],
    ) -> None:
        """Keep where to work; no call is made here.

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
            region = region_code("region", checked("region", region, str))
        self._region = deployment.region if deployment else region
        self.given_session = session
        self._session = session or new_session()
        self._environment = environment
        self._clients = Clients(
            self._session, environment, renew=new_session if session is None else None
        )
        self._deployments = Deployments(
            self._clients,
            environment,
            stage=None if stage is None else checked("stage", stage, str),
            given=deployment,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Keep what was specified, and leave out the session and its credentials."""
        left_out = ("_session", "_environment", "given_session")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find credentials again."""
        self.__dict__.update(state)
        self._session, self._environment = self._clients.session, snapshot()
        self.given_session = None

    @property
    def said(self) -> dict[str, object]:
        """What was said of where to work."""
        return {
            "stage": self._deployments.stage,
            "region": self._region,
            "deployment": self._deployments.given,
        }

    def owns(self, identifier: str) -> bool:
        """Tell by the ARN."""
        return bare(identifier).startswith("arn:")

    def bare(self, identifier: str) -> str:
        """Take off what comes before an ARN."""
        return bare(identifier)

    def checked_id(self, kind: str, identifier: str) -> str:
        """Return an ARN or a name, if it can be one of a kind."""
        return bedrock_id(kind, bare(identifier))

    def target(self, model: str) -> Target:
        """Find the base model, or the tuned one that is to be tuned further, and what is deployed for it."""
        today = datetime.now(UTC).date()
        arn = bare(model)
        if _is_tuned(arn):
            deployment = self._deployment(region_of(bedrock_id(SOURCE, arn)))
            identifier = self._tuned(arn, deployment)
            base = catalog.of_custom_model(identifier)
        else:
            region = self._region_for(model)
            base = catalog.require(model, on=today, provider="bedrock", region=region)
            deployment = self._deployment(region or base.regions[0])
            identifier = base.customization_id
        catalog.require(base.key, on=today, provider="bedrock", region=deployment.region)
        provider = self._bedrock(deployment.region)
        said = provider.lifecycle(base)
        catalog.require_living(base, on=provider.now().date(), service_state=said)
        catalog.require_allowed(base, deployment.base_models)
        return Target(
            base=base,
            identifier=identifier,
            provider=provider,
            output=f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}",
            owner=deployment.account or None,
            tags=_own_tags(self._deployments.stage_of(deployment)),
        )

    def catalog_target(self, model: str) -> CatalogTarget:
        """Find the base model, or that of a custom model, in the catalog; see `bedrock_target`."""
        arn = bare(model)
        return bedrock_target(
            model,
            arn=bedrock_id(SOURCE, arn) if _is_tuned(arn) else "",
            region=self._region_for(model),
            clients=self._clients,
        )

    def connect(self, model: str) -> None:
        """Look up the deployment, and create the clients, that a job of a model needs; no error is raised here."""
        with suppress(TunestackError):
            base = catalog.find(model)
            region = region_of(bare(model)) or self._region_for(model)
            region = region or (base.regions[0] if base and base.regions else None)
            if region is not None:
                self._clients.open(region)
                self._deployments.find(region)

    def _region_for(self, model: str | None) -> str | None:
        """Return the region for a model: the argument, the one in the model's name, or the environment's."""
        named = None if model is None else catalog.parse_name(model).region
        if self._region is not None or named is None:
            return self._region or find_region(self._session, self._environment)
        logger.info("using %s, the region in %s", named, shortened(model))
        return named

    def _tuned(self, arn: str, deployment: Deployment) -> str:
        """Tell the tuned model that an ARN names, itself or by its endpoint."""
        if not is_endpoint(arn):
            return arn
        try:
            return self._bedrock(deployment.region).endpoint(arn).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(arn)} is gone, and with it what it served: "
                "pass the tuned model (job.model)"
            ) from error

    def provider(self, identifier: str | None = None) -> Bedrock:
        """Return Bedrock in a region, deployed or not: what runs and is billed can always be seen and stopped."""
        region = region_of(identifier or "")
        return self._bedrock(
            region or require_region(self._session, self._region, self._environment)
        )

    def tags(self, job_id: str) -> Mapping[str, str]:
        """Tell what an endpoint carries: the stage's tags."""
        try:
            deployment = self._deployment(region_of(job_id))
        except ContractError:  # nothing is deployed, and an endpoint needs nothing of it
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
        provider = self._bedrock(region)
        found = list(provider.checks(model))
        return found if model is None else [*found, check_model(provider, model, region)]

    def _deployment(self, region: str | None) -> Deployment:
        return self._deployments.find(
            region or require_region(self._session, self._region, self._environment)
        )

    def _bedrock(self, region: str) -> Bedrock:
        return Bedrock(
            self._clients,
            region,
            deployment=partial(self._deployments.find, region),
            guarded=partial(self._deployments.guarded, region),
        )


def _is_tuned(arn: str) -> bool:
    """Return whether this is the ARN of a custom model or of its endpoint, not of a base model."""
    return arn.startswith("arn:") and not any(kind in arn for kind in _BASES)


def _own_tags(stage: str) -> dict[str, str]:
    """Tell what everything carries that Tunestack makes for a stage."""
    return {f"{OWN_TAGS}managed-by": "tunestack", STAGE_TAG: stage}
