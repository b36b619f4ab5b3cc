"""Bedrock's control plane and runtime: its routes, and the state of each account and region."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock import (
    custom_models,
    foundation_models,
    jobs,
    runtime,
    serving,
    tags,
)
from tunestack_sandbox.bedrock.authorization import INVOKE_OPERATIONS, authorize
from tunestack_sandbox.bedrock.completions import LATENCY_MS
from tunestack_sandbox.bedrock.invocation_metrics import list_error_metrics, list_metrics
from tunestack_sandbox.bedrock.snapshot import dump_region
from tunestack_sandbox.bedrock.state import Region, find
from tunestack_sandbox.emulator_client import UnknownPolicyError
from tunestack_sandbox.iam import MalformedPolicyError
from tunestack_sandbox.messages import (
    OperationCall,
    OperationResult,
    Request,
    Response,
    ServiceError,
)
from tunestack_sandbox.routing import ANY_METHOD, Route
from tunestack_sandbox.simulated_models import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.model import OperationModel

    from tunestack_sandbox.authentication import Authenticator
    from tunestack_sandbox.bedrock.state import Quotas, Settings
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.emulator_client import EmulatorClient
    from tunestack_sandbox.emulator_metrics import Metric
    from tunestack_sandbox.faults import FaultInjector
    from tunestack_sandbox.rest_json import RestJsonProtocol

    OperationHandler = Callable[[OperationCall], OperationResult]
    OperationInterceptor = Callable[[OperationCall, OperationHandler], OperationResult]

_CONTROL_PLANE: Mapping[str, Callable[[Region, dict[str, Any]], dict[str, Any]]] = {
    "CreateCustomModelDeployment": serving.create_deployment,
    "CreateModelCustomizationJob": jobs.create_job,
    "CreateProvisionedModelThroughput": serving.create_throughput,
    "DeleteCustomModel": custom_models.delete_model,
    "DeleteCustomModelDeployment": serving.delete_deployment,
    "DeleteProvisionedModelThroughput": serving.delete_throughput,
    "GetCustomModel": custom_models.get_model,
    "GetCustomModelDeployment": serving.get_deployment,
    "GetFoundationModel": foundation_models.get_foundation_model,
    "GetFoundationModelAvailability": foundation_models.get_availability,
    "GetModelCustomizationJob": jobs.get_job,
    "GetProvisionedModelThroughput": serving.get_throughput,
    "GetUseCaseForModelAccess": foundation_models.get_use_case,
    "ListCustomModelDeployments": serving.list_deployments,
    "ListCustomModels": custom_models.list_models,
    "ListFoundationModels": foundation_models.list_foundation_models,
    "ListModelCustomizationJobs": jobs.list_jobs,
    "ListProvisionedModelThroughputs": serving.list_throughputs,
    "ListTagsForResource": tags.list_tags,
    "PutUseCaseForModelAccess": foundation_models.put_use_case,
    "StopModelCustomizationJob": jobs.stop_job,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateCustomModelDeployment": serving.update_deployment,
    "UpdateProvisionedModelThroughput": serving.update_throughput,
}
_RUNTIME: Mapping[str, Callable[[Region, dict[str, Any]], OperationResult]] = {
    "Converse": runtime.converse,
    "ConverseStream": runtime.converse_stream,
    "CountTokens": runtime.count_tokens,
    "InvokeModel": runtime.invoke_model,
    "InvokeModelWithResponseStream": runtime.invoke_model_with_response_stream,
}
OPERATIONS = frozenset({*_CONTROL_PLANE, *_RUNTIME})
"""The operations that the sandbox implements."""


class Bedrock:
    """Bedrock in every region of every account."""

    def __init__(
        self,
        *,
        protocol: RestJsonProtocol,
        clock: Clock,
        authenticator: Authenticator,
        clients: Callable[[str, str], EmulatorClient],
        faults: FaultInjector,
        settings: Settings,
        send_event: Callable[[str, str, Mapping[str, Any]], object],
        record_metrics: Callable[[str, str, float, str, Sequence[Metric]], object],
    ) -> None:
        """Initialize the service.

        Args:
            protocol: Reads requests and builds responses.
            clock: The sandbox's clock.
            authenticator: Identifies the callers.
            clients: Returns the client of the other AWS services in an account and region.
            faults: Injects faults.
            settings: The settings of every region.
            send_event: Sends an event to the EventBridge rules of an account and region.
            record_metrics: Records CloudWatch metrics of a model in an account and region, at a time.
        """
        self._protocol = protocol
        self._clock = clock
        self._authenticator = authenticator
        self._clients = clients
        self._faults = faults
        self._settings = settings
        self._send_event = send_event
        self._record_metrics = record_metrics
        self._interceptors: list[OperationInterceptor] = []
        self._regions: dict[tuple[str, str], Region] = {}

    def routes(self) -> list[Route]:
        """Return a route for each operation of the service model, and one for all other requests."""
        routes = [
            Route(
                method=method,
                path=path,
                handle=partial(self._handle_request, operation),
                handle_crash=partial(self._protocol.build_crash, operation),
                allows_trailing_slash=True,
            )
            for method, path, operation in self._protocol.operations()
        ]
        unknown = Route(
            method=ANY_METHOD,
            path="/{path+}",
            handle=self._handle_unknown,
            handle_crash=lambda error: Response(status=500, body=repr(error).encode()),
        )
        return [*routes, unknown]

    def _handle_request(
        self, operation: OperationModel, request: Request, labels: Mapping[str, str]
    ) -> Response:
        try:
            call = self._protocol.read_call(request, operation, labels)
        except ServiceError as error:
            return self._protocol.build_error(None, error)
        try:
            self._faults.raise_error(operation)
            result = self._call_interceptors(call)
            response = self._protocol.build_response(operation, result)
        except ServiceError as error:
            response = self._protocol.build_error(operation, error)
            if operation.name in INVOKE_OPERATIONS:
                self._record_failed_invocation(call, error.code, response.status)
            self._faults.delay(operation.name)
        else:
            delay = self._faults.delay(operation.name)
            if result.invocation is not None:
                metrics = list_metrics(result.invocation, LATENCY_MS + 1000 * delay)
                self._record(call, result.invocation.account, metrics)
        self._faults.lose_reply(operation.name)
        return response

    def _record_failed_invocation(self, call: OperationCall, code: str, status: int) -> None:
        metrics = list_error_metrics(code, status)
        if not metrics:
            return
        with suppress(ServiceError), self._clock.lock:
            account = self._authenticator.authenticate(call).account
            if runtime.serves(self.region(call.region, account), call.params["modelId"]):
                self._record(call, account, metrics)

    def _record(self, call: OperationCall, account: str, metrics: list[Metric]) -> None:
        now = self._clock.now().timestamp()
        self._record_metrics(account, call.region, now, call.params["modelId"], metrics)

    def _handle_unknown(self, request: Request, _: Mapping[str, str]) -> Response:
        message = f"no operation {request.method} {request.path}"
        return self._protocol.build_error(None, ServiceError("UnknownOperationException", message))

    def add_interceptor(self, interceptor: OperationInterceptor) -> None:
        """Register a function that is called instead of the handlers, with each call and its handler."""
        self._interceptors.append(interceptor)

    def remove_interceptor(self, interceptor: OperationInterceptor) -> None:
        """Stop calling a function for each operation."""
        self._interceptors.remove(interceptor)

    def _call_interceptors(self, call: OperationCall) -> OperationResult:
        handler: OperationHandler = self._handle_call
        for interceptor in self._interceptors:
            handler = partial(_intercept, interceptor, handler)
        return handler(call)

    def _handle_call(self, call: OperationCall) -> OperationResult:
        try:
            return self._run_operation(call)
        except (MalformedPolicyError, UnknownPolicyError) as error:
            # AWS would not have stored or attached the policy, so AWS has no message for this.
            raise ServiceError("AccessDeniedException", str(error)) from error

    def _run_operation(self, call: OperationCall) -> OperationResult:
        name = call.operation.name
        caller = self._authenticator.authenticate(call)
        with self._clock.lock:
            self._clock.settle()
            region = self.region(call.region, caller.account)
            if name not in OPERATIONS:
                raise ServiceError(
                    "UnknownOperationException", f"The sandbox does not implement {name}."
                )
            authorize(caller, region, name, call.params)
            if name in _RUNTIME:
                return _RUNTIME[name](region, call.params)
            result = _CONTROL_PLANE[name](region, call.params)
            return OperationResult(
                result=result,
                ignored=not result and name.startswith("Create"),
                headers=_build_failure_header(region, name, call.params),
            )

    @property
    def quotas(self) -> Quotas:
        """The quotas of every account and region."""
        return self._settings.quotas

    @quotas.setter
    def quotas(self, quotas: Quotas) -> None:
        with self._clock.lock:
            self._settings = replace(self._settings, quotas=quotas)
            for region in self._regions.values():
                region.settings = self._settings

    def reset(self) -> None:
        """Delete all jobs, models and endpoints."""
        with self._clock.lock:
            self._regions.clear()

    def state(self) -> list[dict[str, Any]]:
        """Return the state of each account and region in use."""
        with self._clock.lock:
            self._clock.settle()
            return [dump_region(region) for region in self._regions.values()]

    def regions(self, account: str) -> list[Region]:
        """Return the state of each region of an account in use."""
        return [region for (owner, _), region in self._regions.items() if owner == account]

    def region(self, name: str, account: str) -> Region:
        """Return the state of a region of an account."""
        if (account, name) not in self._regions:
            self._regions[account, name] = Region(
                account=account,
                name=name,
                clock=self._clock,
                client=self._clients(account, name),
                faults=self._faults,
                settings=self._settings,
                send_event=partial(self._send_event, account, name),
            )
        return self._regions[account, name]


def _intercept(
    interceptor: OperationInterceptor, handler: OperationHandler, call: OperationCall
) -> OperationResult:
    return interceptor(call, handler)


def _build_failure_header(
    region: Region, operation: str, params: Mapping[str, Any]
) -> dict[str, str]:
    """Return a header with the reason why a job failed: AWS has one message for many reasons."""
    if operation != "GetModelCustomizationJob":
        return {}
    job = find(region.jobs, params["jobIdentifier"])
    if job is None or job.failure_reason is None:
        return {}
    return {LABEL: job.failure_reason.replace("\n", " ").encode("ascii", "replace").decode()}
