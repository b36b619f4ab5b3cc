"""The state of a region as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.custom_models import get_model
from tunestack_sandbox.bedrock.jobs import get_job
from tunestack_sandbox.bedrock.serving import get_deployment, get_throughput

if TYPE_CHECKING:
    from tunestack_sandbox.bedrock.state import Region


def dump_region(region: Region) -> dict[str, Any]:
    """Return all resources of a region in the format of their Get operations. Jobs also have their failure reason."""
    return {
        "account": region.account,
        "region": region.name,
        "jobs": [
            {**get_job(region, {"jobIdentifier": job.arn}), "why": job.failure_reason}
            for job in region.jobs.values()
        ],
        "models": [get_model(region, {"modelIdentifier": arn}) for arn in region.models],
        "deployments": [
            get_deployment(region, {"customModelDeploymentIdentifier": arn})
            for arn in region.deployments
        ],
        "provisioned_throughput": [
            get_throughput(region, {"provisionedModelId": arn}) for arn in region.throughputs
        ],
        "tags": {arn: dict(tags) for arn, tags in region.tags.items() if tags},
    }
