"""ARNs of resources in the account and region of the stack."""

from __future__ import annotations

from aws_cdk import Aws


def regional_arn(service: str, resource: str) -> str:
    """Return the ARN of a resource, built from pseudo parameters: the template names no account (ADR 4)."""
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"


def customization_job_arns() -> str:
    """Return the ARN pattern of all model customization jobs."""
    return regional_arn("bedrock", "model-customization-job/*")


def endpoint_arns() -> list[str]:
    """Return the ARN patterns of both kinds of endpoints: on-demand deployments and provisioned throughput."""
    return [
        regional_arn("bedrock", "custom-model-deployment/*"),
        regional_arn("bedrock", "provisioned-model/*"),
    ]
