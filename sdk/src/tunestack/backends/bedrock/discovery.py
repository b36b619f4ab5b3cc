"""Find the deployment of a stage: argument, environment, or the SSM parameter that `cdk deploy` published."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translate_errors
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
    region = region_from(environment)
    if region is None and session.region_name:
        return region_code("region of the AWS profile", session.region_name)
    return region


def find_stage(stage: str | None, environment: Mapping[str, str]) -> str:
    """Return the stage: argument, `TUNESTACK_STAGE`, `dev`."""
    return stage or read(environment, STAGE) or DEFAULT_STAGE


def find_deployment(
    clients: Clients, environment: Mapping[str, str], *, stage: str | None, region: str
) -> Deployment:
    """Find the deployment of a stage in a region.

    Returns the deployment in the environment if it has this region and stage, else the one that `cdk deploy` published there.

    Raises:
        DeploymentError: there is none; the message names all ways to specify one.
        AccessError: the caller may not read it.
    """
    deployment = Deployment.from_environment(environment, region=region)
    stage = stage or read(environment, STAGE)
    if deployment is not None and deployment.region == region and stage in (None, deployment.stage):
        return deployment
    return read_published_deployment(clients, stage=find_stage(stage, environment), region=region)


def read_published_deployment(clients: Clients, *, stage: str, region: str) -> Deployment:
    """Read the deployment that `cdk deploy` published, from its SSM parameter.

    Raises:
        DeploymentError: the parameter does not exist, or is invalid.
        AccessError: the caller may not read it.
    """
    name = parameter_name(stage)
    try:
        with translate_errors(f"reading SSM parameter {name!r} in {region}"):
            response = clients.get("ssm", region).get_parameter(Name=name)
    except NotFoundError as error:
        raise DeploymentError(
            f"stage {stage!r} is not deployed in {region} (no SSM parameter {name!r}): "
            f"{_deployed(clients, stage, region)}run `cdk deploy` for {stage!r}, or set {DEPLOYMENT}, "
            f"or {S3_BUCKET}, {ROLE_ARN} and {REGION}, or pass deployment="
        ) from error
    return Deployment.from_json(
        response["Parameter"]["Value"], origin=f"SSM parameter {name!r} in {region}"
    )


def _deployed(clients: Clients, stage: str, region: str) -> str:
    """Return a sentence with the stages that are deployed in a region, and the one to use.

    It is empty if the caller is not allowed to list parameters; the tuner policy does not allow it.
    """
    stages: list[str] = []
    with suppress(TunestackError), translate_errors("listing stages"):
        pages = clients.get("ssm", region).get_paginator("describe_parameters")
        path = {"Key": "Name", "Option": "BeginsWith", "Values": ["/tunestack/"]}
        for page in pages.paginate(ParameterFilters=[path]):
            names = (row["Name"].split("/") for row in page["Parameters"])
            stages += [parts[2] for parts in names if parts[3:] == ["deployment"]]
    if not stages:
        return ""
    from difflib import get_close_matches  # noqa: PLC0415 - for messages only

    near = get_close_matches(stage, stages, n=1) or stages
    use = f'stage="{near[0]}" (--stage {near[0]})' if len(near) == 1 else "one of them (--stage)"
    return f"deployed stages: {', '.join(sorted(stages))}. Use {use}, or "


def require_region(
    session: boto3.Session, region: str | None, environment: Mapping[str, str]
) -> str:
    """Return the region: argument or environment.

    Raises:
        ConfigError: neither specifies one.
    """
    region = region or find_region(session, environment)
    if region is None:
        raise ConfigError(f"no region: pass region= (--region), or set {REGION}")
    return region


class Deployments:
    """The deployments of one caller, one for each region, each looked up once.

    Attributes:
        stage: the stage that was specified, if any.
        given: the deployment that was passed in, instead of being looked up.
    """

    def __init__(
        self,
        clients: Clients,
        environment: Mapping[str, str],
        *,
        stage: str | None,
        given: Deployment | None,
    ) -> None:
        """Store the arguments; no call is made here.

        Args:
            clients: the clients that make the calls.
            environment: the environment variables, as of the creation of the caller.
            stage: the stage that was specified, if any.
            given: the deployment that was passed in, instead of being looked up.
        """
        self._clients = clients
        self._environment = environment
        self.stage = stage
        self.given = given
        self._by_region = {} if given is None else {given.region: given}

    def __getstate__(self) -> dict[str, Any]:
        """Keep what was specified, and leave out the deployments that were looked up."""
        return {"clients": self._clients, "stage": self.stage, "given": self.given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look up deployments again."""
        Deployments.__init__(self, state.pop("clients"), snapshot(), **state)

    def find(self, region: str) -> Deployment:
        """Return the deployment in a region; raises the errors of `find_deployment`."""
        if region not in self._by_region:
            self._by_region[region] = find_deployment(
                self._clients, self._environment, stage=self.stage, region=region
            )
        return self._by_region[region]

    def stage_of(self, deployment: Deployment | None) -> str:
        """Return the stage of a deployment; if it has none, the stage that was specified."""
        return find_stage((deployment and deployment.stage) or self.stage, self._environment)

    def find_with_guard(self, region: str) -> Deployment:
        """Return the deployment with its endpoint guard, which the environment variables alone may not specify."""
        deployment = self.find(region)
        if deployment.guard_arn is None and self.given is None:
            stage = self.stage_of(deployment)
            with suppress(TunestackError):
                published = read_published_deployment(self._clients, stage=stage, region=region)
                if published.data_bucket == deployment.data_bucket:
                    self._by_region[region] = published
        return self._by_region[region]
