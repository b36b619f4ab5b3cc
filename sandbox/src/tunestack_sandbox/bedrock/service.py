"""The operations of Bedrock's control plane and runtime, and who may see what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.answers import LABEL
from tunestack_sandbox.aws import UnknownPolicyError
from tunestack_sandbox.bedrock import foundation, jobs, models, runtime, serving, tags
from tunestack_sandbox.bedrock.access import authorize
from tunestack_sandbox.bedrock.dump import dump
from tunestack_sandbox.bedrock.state import Region, find
from tunestack_sandbox.iam import MalformedPolicyError
from tunestack_sandbox.wire import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.aws import Aws
    from tunestack_sandbox.bedrock.state import Quotas, Settings
    from tunestack_sandbox.callers import Callers
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import Faults
    from tunestack_sandbox.wire import Call

_OPERATIONS: Mapping[str, Callable[[Region, dict[str, Any]], dict[str, Any]]] = {
    "CreateCustomModelDeployment": serving.create_deployment,
    "CreateModelCustomizationJob": jobs.create_job,
    "CreateProvisionedModelThroughput": serving.create_throughput,
    "DeleteCustomModel": models.delete_model,
    "DeleteCustomModelDeployment": serving.delete_deployment,
    "DeleteProvisionedModelThroughput": serving.delete_throughput,
    "GetCustomModel": models.get_model,
    "GetCustomModelDeployment": serving.get_deployment,
    "GetFoundationModel": foundation.get_foundation_model,
    "GetFoundationModelAvailability": foundation.get_availability,
    "GetModelCustomizationJob": jobs.get_job,
    "GetProvisionedModelThroughput": serving.get_throughput,
    "GetUseCaseForModelAccess": foundation.get_use_case,
    "ListCustomModelDeployments": serving.list_deployments,
    "ListCustomModels": models.list_models,
    "ListFoundationModels": foundation.list_foundation_models,
    "ListModelCustomizationJobs": jobs.list_jobs,
    "ListProvisionedModelThroughputs": serving.list_throughputs,
    "ListTagsForResource": tags.list_tags,
    "PutUseCaseForModelAccess": foundation.put_use_case,
    "StopModelCustomizationJob": jobs.stop_job,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateCustomModelDeployment": serving.update_deployment,
    "UpdateProvisionedModelThroughput": serving.update_throughput,
}
_RUNTIME: Mapping[str, Callable[[Region, dict[str, Any]], Reply]] = {
    "Converse": runtime.converse,
    "ConverseStream": runtime.converse_streamed,
    "CountTokens": runtime.count_tokens,
    "InvokeModel": runtime.invoke,
    "InvokeModelWithResponseStream": runtime.invoke_streamed,
}
OPERATIONS = frozenset({*_OPERATIONS, *_RUNTIME})
"""The operations that the sandbox plays."""


class Bedrock:
    """Bedrock in every region of every account."""

    def __init__(
        self,
        *,
        clock: Clock,
        callers: Callers,
        aws: Callable[[str, str], Aws],
        faults: Faults,
        settings: Settings,
        send_event: Callable[[str, str, Mapping[str, Any]], object],
    ) -> None:
        """Take what it stands on.

        Args:
            clock: its time.
            callers: knows who calls.
            aws: a look at the rest of AWS, by account and region.
            faults: what goes wrong.
            settings: how it is to be where AWS leaves it open.
            send_event: sends an event to the rules of an account and region.
        """
        self._clock = clock
        self._callers = callers
        self._aws = aws
        self._faults = faults
        self._settings = settings
        self._send_event = send_event
        self._regions: dict[tuple[str, str], Region] = {}

    def handle(self, call: Call) -> Reply:
        """Do an operation.

        Raises:
            Fault: an error that the service answers with.
        """
        try:
            return self._handle(call)
        except (MalformedPolicyError, UnknownPolicyError) as error:
            # AWS would not have stored or attached it, so there is no answer of AWS's.
            raise Fault("AccessDeniedException", str(error)) from error

    def _handle(self, call: Call) -> Reply:
        name = call.operation.name
        caller = self._callers.identify(call)
        with self._clock.lock:
            self._clock.settle()
            region = self._region(caller.account, call.region)
            if name not in OPERATIONS:
                raise Fault("UnknownOperationException", f"The sandbox does not play {name}.")
            authorize(caller, region, name, call.params)
            if name in _RUNTIME:
                return _RUNTIME[name](region, call.params)
            result = _OPERATIONS[name](region, call.params)
            repeated = not result and name.startswith("Create")
            return Reply(
                result=result, ignored=repeated, headers=_untold(region, name, call.params)
            )

    @property
    def quotas(self) -> Quotas:
        """What an account may have at a time."""
        return self._settings.quotas

    @quotas.setter
    def quotas(self, quotas: Quotas) -> None:
        with self._clock.lock:
            self._settings = replace(self._settings, quotas=quotas)
            for region in self._regions.values():
                region.settings = self._settings

    def reset(self) -> None:
        """Forget every job, model and endpoint."""
        with self._clock.lock:
            self._regions.clear()

    def state(self) -> list[dict[str, Any]]:
        """Dump everything that it remembers."""
        with self._clock.lock:
            self._clock.settle()
            return [dump(region) for region in self._regions.values()]

    def _region(self, account: str, name: str) -> Region:
        if (account, name) not in self._regions:
            self._regions[account, name] = Region(
                account=account,
                name=name,
                clock=self._clock,
                aws=self._aws(account, name),
                faults=self._faults,
                settings=self._settings,
                send_event=lambda event: self._send_event(account, name, event),
            )
        return self._regions[account, name]


def _untold(region: Region, operation: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Tell in a header why a job failed, where AWS has but one text for many reasons."""
    if operation != "GetModelCustomizationJob":
        return {}
    job = find(region.jobs, params["jobIdentifier"])
    if job is None or job.why is None:
        return {}
    return {LABEL: job.why.replace("\n", " ").encode("ascii", "replace").decode()}
