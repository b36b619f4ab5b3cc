"""The operations of Bedrock's control plane and runtime, and who may see what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tunestack.sandbox.aws import Aws
from tunestack.sandbox.bedrock import customization, foundation, runtime, serving
from tunestack.sandbox.bedrock.state import Region
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.sandbox.clock import Clock
    from tunestack.sandbox.wire import Call

_OPERATIONS: Mapping[str, Callable[[Region, dict[str, Any]], dict[str, Any]]] = {
    "CreateCustomModelDeployment": serving.create_deployment,
    "CreateModelCustomizationJob": customization.create_job,
    "CreateProvisionedModelThroughput": serving.create_throughput,
    "DeleteCustomModel": customization.delete_model,
    "DeleteCustomModelDeployment": serving.delete_deployment,
    "DeleteProvisionedModelThroughput": serving.delete_throughput,
    "GetCustomModel": customization.get_model,
    "GetCustomModelDeployment": serving.get_deployment,
    "GetFoundationModel": foundation.get_foundation_model,
    "GetModelCustomizationJob": customization.get_job,
    "GetProvisionedModelThroughput": serving.get_throughput,
    "ListCustomModelDeployments": serving.list_deployments,
    "ListCustomModels": customization.list_models,
    "ListFoundationModels": foundation.list_foundation_models,
    "ListModelCustomizationJobs": customization.list_jobs,
    "ListProvisionedModelThroughputs": serving.list_throughputs,
    "ListTagsForResource": foundation.list_tags,
    "StopModelCustomizationJob": customization.stop_job,
    "TagResource": foundation.tag_resource,
    "UntagResource": foundation.untag_resource,
}


class Bedrock:
    """Bedrock in every region of every account."""

    def __init__(self, clock: Clock, emulator_url: str, account: str) -> None:
        """Take the clock, where the rest of AWS is, and the account of keys that name none."""
        self._clock = clock
        self._emulator_url = emulator_url
        self._account = account
        self._regions: dict[tuple[str, str], Region] = {}

    def handle(self, call: Call) -> tuple[dict[str, Any], dict[str, str]]:
        """Do an operation; the second value is headers for the answer.

        Raises:
            Fault: an error that the service answers with.
        """
        with self._clock.lock:
            self._clock.settle()
            region = self._region(call)
            name = call.operation.name
            if name == "Converse":
                return runtime.converse(region, call.params)
            if name not in _OPERATIONS:
                raise Fault("ValidationException", f"{name} is not in the sandbox yet.")
            return _OPERATIONS[name](region, call.params), {}

    def reset(self) -> None:
        """Forget every job, model and endpoint."""
        with self._clock.lock:
            self._regions.clear()

    def _region(self, call: Call) -> Region:
        account = call.access_key if re.fullmatch(r"\d{12}", call.access_key) else self._account
        if (account, call.region) not in self._regions:
            self._regions[account, call.region] = Region(
                account=account,
                name=call.region,
                clock=self._clock,
                aws=Aws(self._emulator_url, account, call.region),
            )
        return self._regions[account, call.region]
