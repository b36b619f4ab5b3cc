"""Operations on the tags of jobs, custom models and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from tunestack_sandbox.bedrock.state import Region

Params = dict[str, Any]


def tag_resource(region: Region, params: Params) -> Params:
    """Handle TagResource."""
    _require_resource_tags(region, params)
    region.add_tags(params["resourceARN"], params["tags"])
    return {}


def untag_resource(region: Region, params: Params) -> Params:
    """Handle UntagResource."""
    tags = _require_resource_tags(region, params)
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(region: Region, params: Params) -> Params:
    """Handle ListTagsForResource."""
    tags = _require_resource_tags(region, params)
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _require_resource_tags(region: Region, params: Params) -> dict[str, str]:
    arn = params["resourceARN"]
    tables = (region.jobs, region.models, region.deployments, region.throughputs)
    if not any(arn in table for table in tables):
        raise ServiceError("ResourceNotFoundException", f"Could not find resource {arn}")
    return region.tags.setdefault(arn, {})
