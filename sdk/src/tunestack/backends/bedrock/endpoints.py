"""The endpoints of Bedrock: on-demand deployments and provisioned throughput."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.arn import Arn, check_bedrock_id
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.guard import with_expiry
from tunestack.backends.bedrock.quotas import explain_quota_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.backends.identifiers import IdKind
from tunestack.catalog import Serving
from tunestack.errors import NotFoundError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.base import EndpointInfo, EndpointRequest


class BedrockEndpoints(BedrockRegion):
    """`tunestack.backends.protocols.EndpointHost`, in one region of one account."""

    def create_endpoint(self, request: EndpointRequest) -> str:
        """Create a deployment (free while idle) or provisioned throughput (billed by the hour) and return its ARN."""
        kind = "deployment" if request.serving is Serving.ON_DEMAND else "throughput"
        with (
            explain_quota_errors(self._clients, self._region, kind),
            translate_errors(f"creating endpoint {request.name!r}"),
        ):
            if request.serving is Serving.ON_DEMAND:
                response: Mapping[str, Any] = self._control.create_custom_model_deployment(
                    **wire.create_deployment(request)
                )
                arn = response.get("customModelDeploymentArn")
            else:
                response = self._control.create_provisioned_model_throughput(
                    **wire.create_throughput(request)
                )
                arn = response.get("provisionedModelArn")
        # The response to a repeated token may have no ARN: the endpoint exists, by its name.
        return arn or request.name

    def endpoint(self, endpoint_id: str, serving: Serving | None = None) -> EndpointInfo:
        """Get an endpoint, by its ARN, or by its name (of the given kind, or of either)."""
        if (arn := Arn.parse(endpoint_id)) is not None:
            is_deployment = arn.resource_type == "custom-model-deployment"
            serving = Serving.ON_DEMAND if is_deployment else Serving.PROVISIONED
        if serving is None:
            with suppress(NotFoundError):
                return self.endpoint(endpoint_id, Serving.ON_DEMAND)
            return self.endpoint(endpoint_id, Serving.PROVISIONED)
        with translate_errors(f"getting endpoint {endpoint_id!r}"):
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
        """List the deployments, then the provisioned throughputs, the newest of each first."""
        arguments: Any = {"sortBy": "CreationTime", "sortOrder": "Descending"}
        if model is not None:
            arguments["modelArnEquals"] = model
        deployments = self._control.get_paginator("list_custom_model_deployments")
        throughputs = self._control.get_paginator("list_provisioned_model_throughputs")
        with translate_errors("listing endpoints"):
            if serving in (None, Serving.ON_DEMAND):
                for deployment_page in deployments.paginate(**arguments):
                    for deployment in deployment_page.get("modelDeploymentSummaries", ()):
                        yield wire.deployment_info(deployment)
            if serving in (None, Serving.PROVISIONED):
                for throughput_page in throughputs.paginate(**arguments):
                    for throughput in throughput_page.get("provisionedModelSummaries", ()):
                        yield wire.throughput_info(throughput)

    def delete_endpoint(self, endpoint: EndpointInfo) -> None:
        """Delete a deployment or provisioned throughput; it may exist for some time after this returns."""
        with translate_errors(f"deleting endpoint {endpoint.name!r}"):
            if endpoint.serving is Serving.ON_DEMAND:
                self._control.delete_custom_model_deployment(
                    customModelDeploymentIdentifier=endpoint.id
                )
            else:
                self._control.delete_provisioned_model_throughput(provisionedModelId=endpoint.id)

    def update_endpoint(self, endpoint: EndpointInfo, model: str) -> None:
        """Update a deployment or provisioned throughput to another custom model of the same base model."""
        model = check_bedrock_id(IdKind.MODEL, model)
        with translate_errors(f"updating endpoint {endpoint.name!r} to {model!r}"):
            if endpoint.serving is Serving.ON_DEMAND:
                self._control.update_custom_model_deployment(
                    customModelDeploymentIdentifier=endpoint.id, modelArn=model
                )
            else:
                self._control.update_provisioned_model_throughput(
                    provisionedModelId=endpoint.id, desiredModelId=model
                )

    def endpoint_tags(self, endpoint_id: str) -> Mapping[str, str]:
        """Get the tags of an endpoint, by its ARN."""
        return self._tags("endpoint", endpoint_id)

    def tag_endpoint(self, endpoint_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to an endpoint, by its ARN."""
        self._add_tags("endpoint", endpoint_id, tags)

    def with_expiry(self, endpoint: EndpointInfo) -> EndpointInfo:
        """Add the time at which the endpoint guard deletes the endpoint, from its tags and the limits of the stage."""
        tags = self._tags("endpoint", endpoint.id)
        deployment = None
        with suppress(TunestackError):
            deployment = self._find_with_guard()
        return with_expiry(endpoint, tags, deployment)
