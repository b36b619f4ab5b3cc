"""Service Quotas, as far as Bedrock's quotas for fine-tuning go: `GetServiceQuota`.

The emulator has no Service Quotas. Codes and names as Service Quotas shows them in two accounts (files in public repositories,
read 2026-11-28); the quota for all deployments has no known code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import botocore.session

from tunestack_sandbox.iam import Access, decide
from tunestack_sandbox.wire import Answer, Call, Fault, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.bedrock.state import Quotas
    from tunestack_sandbox.callers import Caller, Callers

_TARGET = "ServiceQuotasV20190624."
_UNITS: Mapping[str, Any] = {"Unit": "None", "GlobalQuota": False}


class ServiceQuotas:
    """Answers `GetServiceQuota`."""

    def __init__(self, quotas: Callable[[], Quotas], callers: Callers) -> None:
        """Take the quotas of the sandbox, and who knows callers."""
        self._quotas = quotas
        self._callers = callers

    def __call__(self, request: Request) -> Answer | None:
        """Answer; `None` what is for another service."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = headers.get("x-amz-target", "")
        if not target.startswith(_TARGET):
            return None
        try:
            return _answer(200, {"Quota": self._get(request, headers, target)})
        except Fault as fault:
            return _answer(400, {"__type": fault.code, "Message": fault.message})

    def _get(self, request: Request, headers: Mapping[str, str], target: str) -> dict[str, Any]:
        name = target.removeprefix(_TARGET)
        model = botocore.session.get_session().get_service_model("service-quotas")
        if name != "GetServiceQuota":
            raise Fault("UnknownOperationException", f"The sandbox does not play {name}.")
        # The credential names the access key, the date, the region and the service.
        scope = headers.get("authorization", "").partition("Credential=")[2].split("/")
        key, region = (scope[0], scope[2]) if len(scope) > 2 else ("", "")
        params = json.loads(request.body or b"{}")
        caller = self._callers.identify(
            Call(
                operation=model.operation_model(name),
                params=params,
                access_key=key,
                region=region,
                request=request,
            )
        )
        _authorize(caller, f"servicequotas:{name}")
        code = params.get("QuotaCode")
        known = _known(self._quotas())
        if params.get("ServiceCode") != "bedrock" or code not in known:
            raise Fault(
                "NoSuchResourceException",
                "The request failed because the specified quota does not exist.",
            )
        quota, value, is_adjustable = known[code]
        return {
            "ServiceCode": "bedrock",
            "ServiceName": "Amazon Bedrock",
            "QuotaArn": f"arn:aws:servicequotas:{region}:{caller.account}:bedrock/{code}",
            "QuotaCode": code,
            "QuotaName": quota,
            "Value": float(value),
            "Adjustable": is_adjustable,
            **_UNITS,
        }


def _known(quotas: Quotas) -> dict[str, tuple[str, int, bool]]:
    """Return the names, values and adjustability of the quotas, by their codes."""
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
    }


def _authorize(caller: Caller, action: str) -> None:
    decision = decide(
        Access(
            principal=caller.principal,
            action=action,
            resource="*",
            account=caller.account,
            context={"aws:SourceIp": "127.0.0.1", "aws:ViaAWSService": "false"},
        ),
        caller.policies,
    )
    if not decision.allowed:
        raise Fault("AccessDeniedException", decision.message(names_resource=False))


def _answer(status: int, content: object) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Answer(status=status, body=json.dumps(content).encode(), headers=headers)
