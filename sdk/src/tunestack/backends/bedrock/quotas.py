"""Bedrock's quotas for fine-tuning: find the quota that an error is about, its value, and what to do.

Sources: codes and names of the quotas: Service Quotas in two accounts (files in public repositories, read 2026-11-28); values
and adjustability of deployments: a field report of 2026; accounts that run 2 jobs at a time and can't raise that:
hashicorp/terraform-provider-aws#37990 (2024-06); quotas that are not adjustable need a support case: user guide, quotas.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tunestack.backends.base import JobSlots
from tunestack.backends.bedrock.errors import OTHER_QUOTA, translate_errors
from tunestack.errors import QuotaError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.catalog import BaseModel


logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """A quota of Bedrock."""

    name: str
    """As Service Quotas shows it."""
    code: str | None = None
    default: int
    is_adjustable: bool | None
    """As documented; `None` where accounts differ."""
    remedy: str
    """What to do without an increase of the quota."""
    frees_itself: bool = False
    """Whether it is free again after a time, when jobs end or deployments become ready."""


JOBS = Quota(
    name="(Model customization) Scheduled customization jobs",
    code="L-0406044C",
    default=10,
    is_adjustable=None,
    remedy="wait for a job to end (submit with queue=True, or --queue), or cancel one (`tunestack jobs list`)",
    frees_itself=True,
)
CUSTOM_MODELS = Quota(
    name="Custom models per account",
    code="L-CB5B847D",
    default=100,
    is_adjustable=True,
    remedy="delete custom models that are not used any more (`aws bedrock delete-custom-model`)",
)
DEPLOYMENTS = Quota(
    name="Total custom model deployments",
    default=10,
    is_adjustable=True,
    remedy="stop a deployment that is not used any more (`tunestack endpoints list`, `tunestack endpoints stop NAME`)",
)
DEPLOYMENTS_IN_PROGRESS = Quota(
    name="Custom models with a creating status per account",
    code="L-C02E1E99",
    default=2,
    is_adjustable=True,
    remedy="wait until another deployment is ready",
    frees_itself=True,
)
MODEL_UNITS = Quota(
    name="Model units no-commitment Provisioned Throughputs across custom models",
    code="L-BE77399C",
    default=0,
    is_adjustable=True,
    remedy="stop another provisioned throughput, or use serving='on-demand' if the model supports it",
)

_UNITS_OF_MODEL = "Model units per provisioned model for"

_IN_PROGRESS = re.compile(r"in.?progress|creating", re.IGNORECASE)
_MODELS = re.compile(r"custom models?\b", re.IGNORECASE)
_JOBS = re.compile(r"\bjobs?\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The value of a quota in an account and region."""

    quota: Quota
    value: float
    is_applied: bool
    """Whether Service Quotas returned the value; if not, it is the documented default."""
    is_adjustable: bool | None
    is_default: bool = False
    """Whether Service Quotas has no value for the account and returned AWS's default."""

    @property
    def text(self) -> str:
        """The value, the quota's name and code, and the source of the value."""
        code = f" ({self.quota.code})" if self.quota.code else ""
        source = ", AWS's default" if self.is_default else ""
        if not self.is_applied:
            source = ", the documented default: the applied value is unknown"
        return f"{self.value:g} by quota {self.quota.name!r}{code}{source}"

    @property
    def remedy(self) -> str:
        """What to do if the quota is reached."""
        code = self.quota.code
        if self.is_adjustable is False:
            return f"{self.quota.remedy}; this quota can't be raised in Service Quotas"
        if self.is_adjustable:
            of_code = f" of {code}" if code else ""
            return f"{self.quota.remedy}, or request an increase{of_code} in Service Quotas"
        return (
            f"{self.quota.remedy}; not every account can raise this quota: `aws service-quotas get-service-quota "
            f"--service-code bedrock --quota-code {code}` shows whether yours can (Adjustable)"
        )


def units_quota(model: BaseModel) -> Quota:
    """Return the quota of model units of each provisioned throughput of a base model, which provisioned throughput needs, too."""
    return replace(
        MODEL_UNITS,
        name=f"{_UNITS_OF_MODEL} {model.publisher.title()} {model.name}",
        code=model.units_quota,
    )


def quota_link(region: str, quota: Quota) -> str:
    """Return the page of the AWS console where an increase of a quota is requested."""
    page = "" if quota.code is None else f"/{quota.code}"
    return (
        f"https://{region}.console.aws.amazon.com/servicequotas/home/services/bedrock/quotas{page}"
    )


def read_quota(clients: Clients, region: str, quota: Quota) -> Limit:
    """Read the applied value of a quota; return the documented default if it can't be read."""
    try:
        return read_applied_quota(clients, region, quota)
    except TunestackError:
        return Limit(
            quota=quota,
            value=quota.default,
            is_applied=False,
            is_adjustable=quota.is_adjustable,
        )


def read_applied_quota(clients: Clients, region: str, quota: Quota) -> Limit:
    """Read the applied value of a quota, or AWS's default if Service Quotas has no applied value.

    Raises:
        TunestackError: the caller has no permission, or the quota's code is unknown.
    """
    if quota.code is None:
        raise QuotaError(
            f"the code of quota {quota.name!r} is unknown: search for the name in Service Quotas"
        )
    client = clients.get("service-quotas", region)
    arguments = {"ServiceCode": "bedrock", "QuotaCode": quota.code}
    is_default = False
    with translate_errors(f"reading quota {quota.code}"):
        try:
            answer: dict[str, Any] = client.get_service_quota(**arguments)["Quota"]
        # "If the applied quota value is not available for a quota, the quota is not retrieved" (API reference, GetServiceQuota).
        except client.exceptions.NoSuchResourceException:
            answer = client.get_aws_default_service_quota(**arguments)["Quota"]
            is_default = True
    adjustable = answer.get("Adjustable")
    return Limit(
        quota=quota,
        value=float(answer["Value"]),
        is_applied=True,
        is_adjustable=quota.is_adjustable if adjustable is None else bool(adjustable),
        is_default=is_default,
    )


def require_job_slot(clients: Clients, region: str, *, queue: bool) -> None:
    """Check that another job can run now; does nothing if the quota can't be read.

    Args:
        clients: the clients that make the calls.
        region: the AWS region.
        queue: the job may wait for a free slot, so only a quota of 0 is an error.

    Raises:
        QuotaError: no job can run.
    """
    try:
        limit = read_applied_quota(clients, region, JOBS)
        slots = _use_of(limit, clients, region)
    except TunestackError as error:
        logger.debug("the number of free job slots is unknown: %s", error)
        return
    if slots.limit < 1 or (slots.running >= slots.limit and not queue):
        raise QuotaError(f"no job can be created in {region}: {slots}: {limit.remedy}")
    if slots.running >= slots.limit:
        logger.warning("the job has to wait for a free slot: %s", slots)


def read_job_slots(clients: Clients, region: str) -> JobSlots:
    """Read the quota of jobs, or its documented default, and count the running jobs.

    Raises:
        ProviderError: the jobs can't be listed.
    """
    return _use_of(read_quota(clients, region, JOBS), clients, region)


def _use_of(limit: Limit, clients: Clients, region: str) -> JobSlots:
    running = count_jobs(clients, region)
    return JobSlots(running=running, limit=int(limit.value), quota=limit.text)


def count_jobs(clients: Clients, region: str) -> int:
    """Count the jobs in a region that have not ended.

    Raises:
        ProviderError: they can't be listed.
    """
    with translate_errors("listing jobs"):
        pages = clients.get("bedrock", region).get_paginator("list_model_customization_jobs")
        return sum(
            len(page.get("modelCustomizationJobSummaries", ()))
            for status in ("InProgress", "Stopping")
            for page in pages.paginate(statusEquals=status)
        )


@contextmanager
def explain_quota_errors(clients: Clients, region: str, resource: str) -> Iterator[None]:
    """Add the name of the quota, its value, and what to do, to a `QuotaError`.

    Args:
        clients: the clients that make the calls.
        region: the AWS region.
        resource: what is being created: `job`, `deployment` or `throughput`.
    """
    try:
        yield
    except QuotaError as error:
        if error.code != "ServiceQuotaExceededException":
            raise
        limit = read_quota(clients, region, _find_quota(resource, str(error)))
        other = f" (and of {_UNITS_OF_MODEL} the model)" if limit.quota is MODEL_UNITS else ""
        explained = QuotaError(
            f"{str(error).removesuffix(': ' + OTHER_QUOTA)}: {limit.text}: {limit.remedy}{other}",
            code=error.code,
            request_id=error.request_id,
        )
        explained.frees_itself = limit.quota.frees_itself and limit.value > 0
        raise explained from error.__cause__


def _find_quota(resource: str, message: str) -> Quota:
    """Return the quota that an error is about, by its message: Bedrock has one error code for all quotas."""
    text = message.rpartition("': ")[2]
    if resource == "job":
        is_about_models = _MODELS.search(text) and not _JOBS.search(text)
        return CUSTOM_MODELS if is_about_models else JOBS
    if resource == "deployment":
        return DEPLOYMENTS_IN_PROGRESS if _IN_PROGRESS.search(text) else DEPLOYMENTS
    return MODEL_UNITS
