"""Service Quotas: `GetServiceQuota` and `GetAWSDefaultServiceQuota` for Bedrock's quotas for fine-tuning.

The emulator has no Service Quotas. Codes and names are those that Service Quotas shows in two accounts (files in public
repositories, read 2026-11-28). The code of the quota for all deployments is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.state import Quotas
from tunestack_sandbox.messages import OperationCall, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.authentication import Caller

_COMMON_FIELDS: Mapping[str, Any] = {"Unit": "None", "GlobalQuota": False}
_AWS_DEFAULTS = Quotas(model_units=0, model_units_per_model=0)
"""The defaults of a new account."""


class ServiceQuotas:
    """Service Quotas of the sandbox, a `JsonService`."""

    name = "service-quotas"
    invalid_code = "IllegalArgumentException"

    def __init__(self, quotas: Callable[[], Quotas]) -> None:
        """Initialize the service.

        Args:
            quotas: Returns the sandbox's current quotas.
        """
        self._quotas = quotas

    @property
    def operations(self) -> Mapping[str, Callable[[OperationCall, Caller], Mapping[str, Any]]]:
        """The operations that the sandbox implements."""
        return {
            "GetServiceQuota": self._get_quota,
            "GetAWSDefaultServiceQuota": self._get_default,
        }

    def _get_quota(self, call: OperationCall, caller: Caller) -> Mapping[str, Any]:
        quotas = self._quotas()
        if call.params["QuotaCode"] in quotas.unapplied:
            raise _not_found()
        return _build_quota(call, quotas, account=caller.account)

    def _get_default(self, call: OperationCall, _: Caller) -> Mapping[str, Any]:
        # The ARN of a default has no account.
        return _build_quota(call, _AWS_DEFAULTS, account="")


def _build_quota(call: OperationCall, quotas: Quotas, *, account: str) -> Mapping[str, Any]:
    code, known = call.params["QuotaCode"], _list_quotas(quotas)
    if call.params["ServiceCode"] != "bedrock" or code not in known:
        raise _not_found()
    name, value, is_adjustable = known[code]
    return {
        "Quota": {
            "ServiceCode": "bedrock",
            "ServiceName": "Amazon Bedrock",
            "QuotaArn": f"arn:aws:servicequotas:{call.region}:{account}:bedrock/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(value),
            "Adjustable": is_adjustable,
            **_COMMON_FIELDS,
        }
    }


def _not_found() -> ServiceError:
    return ServiceError(
        "NoSuchResourceException", "The request failed because the specified quota does not exist."
    )


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
