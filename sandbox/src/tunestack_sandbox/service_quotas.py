"""Service Quotas: `GetServiceQuota` and `GetAWSDefaultServiceQuota` for Bedrock's quotas for fine-tuning.

The emulator has no Service Quotas. Codes and names are those that Service Quotas shows in two accounts (files in public
repositories, read 2026-11-28). The code of the quota for all deployments is unknown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import botocore.session

from tunestack_sandbox.bedrock.state import Quotas
from tunestack_sandbox.iam import AccessRequest, decide
from tunestack_sandbox.messages import OperationCall, Request, Response, ServiceError
from tunestack_sandbox.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.authentication import Authenticator, Caller

_TARGET_PREFIX = "ServiceQuotasV20190624."
_COMMON_FIELDS: Mapping[str, Any] = {"Unit": "None", "GlobalQuota": False}


_AWS_DEFAULTS = Quotas(model_units=0, model_units_per_model=0)
"""The defaults of a new account."""


class ServiceQuotas:
    """The service, with the AWS JSON protocol: the header `X-Amz-Target` names the operation."""

    def __init__(self, quotas: Callable[[], Quotas], authenticator: Authenticator) -> None:
        """Initialize the service.

        Args:
            quotas: Returns the sandbox's current quotas.
            authenticator: Identifies the callers.
        """
        self._quotas = quotas
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        """Return the one route of the service."""
        return [Route(method="POST", path="/", handle=self.handle, handle_crash=_build_crash)]

    def handle(self, request: Request, _: Mapping[str, str]) -> Response:
        """Handle a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = headers.get("x-amz-target", "")
        if not target.startswith(_TARGET_PREFIX):
            message = f"no operation POST / {target}"
            return _build_error(404, ServiceError("UnknownOperationException", message))
        try:
            return _build_response(200, {"Quota": self._get_quota(request, headers, target)})
        except ServiceError as error:
            return _build_error(400, error)

    def _get_quota(
        self, request: Request, headers: Mapping[str, str], target: str
    ) -> dict[str, Any]:
        name = target.removeprefix(_TARGET_PREFIX)
        if name not in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
            raise ServiceError(
                "UnknownOperationException", f"The sandbox does not implement {name}."
            )
        model = botocore.session.get_session().get_service_model("service-quotas")
        # The credential names the access key, the date, the region and the service.
        scope = headers.get("authorization", "").partition("Credential=")[2].split("/")
        key, region = (scope[0], scope[2]) if len(scope) > 2 else ("", "")
        params = json.loads(request.body or b"{}")
        caller = self._authenticator.authenticate(
            OperationCall(
                operation=model.operation_model(name),
                params=params,
                access_key=key,
                region=region,
                request=request,
            )
        )
        _authorize(caller, f"servicequotas:{name}")
        code = params.get("QuotaCode")
        quotas = self._quotas()
        is_default = name == "GetAWSDefaultServiceQuota"
        known = _list_quotas(_AWS_DEFAULTS if is_default else quotas)
        is_applied = is_default or code not in quotas.unapplied
        if params.get("ServiceCode") != "bedrock" or code not in known or not is_applied:
            raise ServiceError(
                "NoSuchResourceException",
                "The request failed because the specified quota does not exist.",
            )
        quota, value, is_adjustable = known[code]
        return {
            "ServiceCode": "bedrock",
            "ServiceName": "Amazon Bedrock",
            # The ARN of a default has no account.
            "QuotaArn": f"arn:aws:servicequotas:{region}:{'' if is_default else caller.account}:bedrock/{code}",
            "QuotaCode": code,
            "QuotaName": quota,
            "Value": float(value),
            "Adjustable": is_adjustable,
            **_COMMON_FIELDS,
        }


def _list_quotas(quotas: Quotas) -> dict[str, tuple[str, int, bool]]:
    """Return the name, value and adjustability of each quota by its code."""
    return {
        "L-0406044C": (
            "(Model customization) Scheduled customization jobs",
            quotas.jobs,
            quotas.jobs_adjustable,
        ),
        "L-CB5B847D": ("Custom models per account", quotas.custom_models, True),
        "L-C02E1E99": (
            "Custom models with a creating status per account",
            quotas.deployments_in_progress,
            True,
        ),
        "L-BE77399C": (
            "Model units no-commitment Provisioned Throughputs across custom models",
            quotas.model_units,
            True,
        ),
        "L-3632DE15": (
            "Model units per provisioned model for Meta Llama 3.1 8B Instruct",
            quotas.model_units_per_model,
            True,
        ),
    }


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
