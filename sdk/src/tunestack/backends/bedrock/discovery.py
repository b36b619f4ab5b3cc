"""Find the deployment to work with: argument, environment, or what `cdk deploy` published."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translated
from tunestack.deployment import (
    DEFAULT_STAGE,
    DEPLOYMENT,
    REGION,
    ROLE_ARN,
    S3_BUCKET,
    STAGE,
    Deployment,
    parameter_name,
    region_from,
)
from tunestack.environment import snapshot
from tunestack.errors import ConfigError, DeploymentError, NotFoundError, TunestackError
from tunestack.settings import read, region_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

    from tunestack.backends.bedrock.clients import Clients


def find_region(session: boto3.Session, environment: Mapping[str, str]) -> str | None:
    """Return the region of an environment: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's.

    Raises:
        ConfigError: it is not a region.
    """
    found = region_from(environment)
    if found is None and session.region_name:
        return region_code("region of the AWS profile", session.region_name)
    return found


def find_stage(stage: str | None, environment: Mapping[str, str]) -> str:
    """Return the stage: argument, `TUNESTACK_STAGE`, `dev`."""
    return stage or read(environment, STAGE) or DEFAULT_STAGE


def find_deployment(
    clients: Clients, environment: Mapping[str, str], *, stage: str | None, region: str
) -> Deployment:
    """Find the deployment of a stage in a region.

    Returns that of the environment if it is for this region and stage, else the one that `cdk deploy` published there.

    Raises:
        DeploymentError: there is none; names every way to give one.
        AccessError: the caller may not read it.
    """
    found = Deployment.from_environment(environment, region=region)
    wanted = stage or read(environment, STAGE)
    if found is not None and found.region == region and wanted in (None, found.stage):
        return found
    return published(clients, stage=find_stage(stage, environment), region=region)


def published(clients: Clients, *, stage: str, region: str) -> Deployment:
    """Read the deployment that `cdk deploy` published, from its SSM parameter.

    Raises:
        DeploymentError: there is none.
        AccessError: the caller may not read it.
    """
    name = parameter_name(stage)
    try:
        with translated(f"reading SSM parameter {name!r} in {region}"):
            answer = clients.get("ssm", region).get_parameter(Name=name)
    except NotFoundError as error:
        raise DeploymentError(
            f"stage {stage!r} is not deployed in {region} (no SSM parameter {name!r}): "
            f"run `cdk deploy` for it, or set {DEPLOYMENT}, "
            f"or {S3_BUCKET}, {ROLE_ARN} and {REGION}, or pass deployment="
        ) from error
    return Deployment.from_json(
        answer["Parameter"]["Value"], origin=f"SSM parameter {name!r} in {region}"
    )


def require_region(
    session: boto3.Session, region: str | None, environment: Mapping[str, str]
) -> str:
    """Return the region: argument or environment.

    Raises:
        ConfigError: neither names one.
    """
    found = region or find_region(session, environment)
    if found is None:
        raise ConfigError(f"no region: pass region= (--region), or set {REGION}")
    return found


class Deployments:
    """The deployments that one caller works with, each looked up once.

    Attributes:
        stage: the one that was asked for by name.
        given: what was handed in, instead of being looked up.
    """

    def __init__(
        self,
        clients: Clients,
        environment: Mapping[str, str],
        *,
        stage: str | None,
        given: Deployment | None,
    ) -> None:
        """Keep where deployments are looked up; no call is made here.

        Args:
            clients: make the calls.
            environment: the variables to look them up in, as they were when the caller was created.
            stage: the stage that was specified, if any.
            given: the deployment that was passed in, instead of being looked up.
        """
        self._clients = clients
        self._environment = environment
        self.stage = stage
        self.given = given
        self._found = {} if given is None else {given.region: given}

    def __getstate__(self) -> dict[str, Any]:
        """Keep what was specified, and leave out what was found."""
        return {"clients": self._clients, "stage": self.stage, "given": self.given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find deployments again."""
        Deployments.__init__(self, state.pop("clients"), snapshot(), **state)

    def find(self, region: str) -> Deployment:
        """Find the deployment in a region; the errors are those of `find_deployment`."""
        if region not in self._found:
            self._found[region] = find_deployment(
                self._clients, self._environment, stage=self.stage, region=region
            )
        return self._found[region]

    def stage_of(self, deployment: Deployment | None) -> str:
        """Tell the stage: the deployment's, as far as it says, else the one that was asked for."""
        return find_stage((deployment and deployment.stage) or self.stage, self._environment)

    def guarded(self, region: str) -> Deployment:
        """Find the deployment with its guard, of which bucket and role alone say nothing."""
        deployment = self.find(region)
        if deployment.guard_arn is None and self.given is None:
            stage = self.stage_of(deployment)
            with suppress(TunestackError):
                found = published(self._clients, stage=stage, region=region)
                if found.data_bucket == deployment.data_bucket:
                    self._found[region] = found
        return self._found[region]
