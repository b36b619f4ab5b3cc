"""Find the deployment to work with: argument, environment, or what `cdk deploy` published."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tunestack.contract import (
    DEFAULT_REGION,
    DEFAULT_STAGE,
    DEPLOYMENT,
    REGION,
    ROLE_ARN,
    S3_BUCKET,
    STAGE,
    Deployment,
    parameter_name,
)
from tunestack.errors import ConfigError, ContractError, NotFoundError
from tunestack.providers.aws_errors import translated

if TYPE_CHECKING:
    import boto3

    from tunestack.providers.clients import Clients


def find_region(session: boto3.Session) -> str | None:
    """Tell the region of the environment: `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's."""
    return os.environ.get(REGION) or os.environ.get(DEFAULT_REGION) or session.region_name


def find_stage(stage: str | None) -> str:
    """Tell the stage: argument, `TUNESTACK_STAGE`, `dev`."""
    return stage or os.environ.get(STAGE) or DEFAULT_STAGE


def find_deployment(clients: Clients, *, stage: str | None, region: str) -> Deployment:
    """Find the deployment of a stage in a region.

    The environment's, if it speaks of this region and stage; else the one that `cdk deploy` published there.

    Raises:
        ContractError: there is none; names every way to give one.
        AccessError: the caller may not read it.
    """
    found = Deployment.from_environment(os.environ, region=region)
    wanted = stage or os.environ.get(STAGE)
    if found is not None and found.region == region and wanted in (None, found.stage):
        return found
    return published(clients, stage=find_stage(stage), region=region)


def published(clients: Clients, *, stage: str, region: str) -> Deployment:
    """Read the deployment that `cdk deploy` published, from its SSM parameter.

    Raises:
        ContractError: there is none.
        AccessError: the caller may not read it.
    """
    name = parameter_name(stage)
    try:
        with translated(f"reading SSM parameter {name!r} in {region}"):
            answer = clients.get("ssm", region).get_parameter(Name=name)
    except NotFoundError as error:
        raise ContractError(
            f"stage {stage!r} is not deployed in {region} (no SSM parameter {name!r}): "
            f"run `cdk deploy` for it, or set {DEPLOYMENT}, "
            f"or {S3_BUCKET}, {ROLE_ARN} and {REGION}, or pass deployment="
        ) from error
    return Deployment.from_json(
        answer["Parameter"]["Value"], origin=f"SSM parameter {name!r} in {region}"
    )


def require_region(session: boto3.Session, region: str | None) -> str:
    """Tell the region: argument or environment.

    Raises:
        ConfigError: neither says.
    """
    found = region or find_region(session)
    if found is None:
        raise ConfigError(f"no region: pass region= (--region), or set {REGION}")
    return found
