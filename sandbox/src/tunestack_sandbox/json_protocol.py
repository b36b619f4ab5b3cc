"""The AWS JSON protocol, for services besides Bedrock: the header `X-Amz-Target` names the operation."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tunestack_sandbox.iam import AccessRequest, decide
from tunestack_sandbox.messages import OperationCall, Request, Response, ServiceError
from tunestack_sandbox.routing import Route
from tunestack_sandbox.shapes import build_validation_message, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tunestack_sandbox.authentication import Authenticator, Caller


class JsonService(Protocol):
    """A service with the AWS JSON protocol."""

    name: str
    """The name of the service in botocore."""
    invalid_code: str
    """The code of the error for parameters that are invalid in botocore's model."""

    @property
    def operations(self) -> Mapping[str, Callable[[OperationCall, Caller], Mapping[str, Any]]]:
        """The operations that the sandbox implements. A function returns the response, or raises `ServiceError`."""
        ...


class JsonProtocol:
    """The services, which have one route: each has its own prefix in the header."""

    def __init__(self, services: Sequence[JsonService], authenticator: Authenticator) -> None:
        """Initialize the protocol.

        Args:
            services: The services.
            authenticator: Identifies the callers.
        """
        self._services = {
            f"{_load_model(service.name).metadata['targetPrefix']}.": service
            for service in services
        }
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        """Return the one route of the services."""
        return [Route(method="POST", path="/", handle=self.handle, handle_crash=_build_crash)]

    def handle(self, request: Request, _: Mapping[str, str]) -> Response:
        """Handle a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = headers.get("x-amz-target", "")
        for prefix, service in self._services.items():
            if target.startswith(prefix):
                try:
                    name = target.removeprefix(prefix)
                    return _build_response(200, self._call(service, name, request, headers))
                except ServiceError as error:
                    return _build_error(400, error)
        message = f"no operation POST / {target}"
        return _build_error(404, ServiceError("UnknownOperationException", message))

    def _call(
        self, service: JsonService, name: str, request: Request, headers: Mapping[str, str]
    ) -> Mapping[str, Any]:
        if name not in service.operations:
            raise ServiceError(
                "UnknownOperationException", f"The sandbox does not implement {name}."
            )
        model = _load_model(service.name)
        # The credential names the access key, the date, the region and the service.
        scope = headers.get("authorization", "").partition("Credential=")[2].split("/")
        key, region = (scope[0], scope[2]) if len(scope) > 2 else ("", "")
        call = OperationCall(
            operation=model.operation_model(name),
            params=json.loads(request.body or b"{}"),
            access_key=key,
            region=region,
            request=request,
        )
        caller = self._authenticator.authenticate(call)
        _authorize(caller, f"{model.signing_name}:{name}")
        if problems := violations(call.params, call.operation.input_shape):
            raise ServiceError(service.invalid_code, build_validation_message(problems))
        return service.operations[name](call, caller)


@cache
def _load_model(name: str) -> ServiceModel:
    # A botocore session reads the user's configuration.
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def _authorize(caller: Caller, action: str) -> None:
    decision = decide(
        AccessRequest(
            principal=caller.principal,
            action=action,
            resource="*",
            account=caller.account,
            context={"aws:SourceIp": "127.0.0.1", "aws:ViaAWSService": "false"},
        ),
        caller.policies,
    )
    if not decision.allowed:
        raise ServiceError("AccessDeniedException", decision.message(names_resource=False))


def _build_crash(error: Exception) -> Response:
    return _build_error(500, ServiceError("InternalFailure", f"The sandbox failed: {error!r}"))


def _build_error(status: int, error: ServiceError) -> Response:
    return _build_response(status, {"__type": error.code, "Message": error.message})


def _build_response(status: int, content: object) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Response(status=status, body=json.dumps(content).encode(), headers=headers)
