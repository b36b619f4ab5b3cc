"""What can be known of an account before a job is paid for.

Nothing here needs more than the tuner policy: what it may not read is unknown, with what would tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.backends.base import Check, Verdict
from tunestack.backends.bedrock.errors import translated
from tunestack.backends.bedrock.quotas import (
    DEPLOYMENTS,
    JOBS,
    MODEL_UNITS,
    count_jobs,
    read,
    read_applied,
)
from tunestack.catalog import Serving
from tunestack.errors import AccessError, NotFoundError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.catalog import BaseModel
    from tunestack.deployment import Deployment

_MOST_SKEW = 300
"""Seconds by which a signature's time may differ from AWS's."""
_POLICY = "attach the stage's tuner policy (stack output `TunerPolicyArn`)"


def checks(
    clients: Clients, region: str, find: Callable[[], Deployment], model: BaseModel | None
) -> Iterator[Check]:
    """Check one thing after the other; what a check depends on comes before it."""
    known = _Checks(clients, region)
    account = known.account()
    yield known.credentials(account)
    if isinstance(account, TunestackError):
        return
    yield known.clock()
    try:
        deployment = find()
    except TunestackError as error:
        is_missing = isinstance(error.__cause__, NotFoundError)
        fix = "run `cdk deploy` in this account and region" if is_missing else "change that setting"
        yield _failed("deployment", str(error), fix)
        return
    yield known.deployment(deployment, account["Account"])
    yield known.bucket(deployment)
    yield known.role(deployment)
    yield known.guard(deployment)
    yield known.jobs()
    if model is not None and Serving.ON_DEMAND in model.serving:
        yield known.deployments()
    elif model is not None:
        yield known.model_units()


def _passed(name: str, detail: str) -> Check:
    return Check(name=name, verdict=Verdict.PASS, detail=detail)


def _failed(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, verdict=Verdict.FAIL, detail=detail, fix=fix)


def _unknown(name: str, detail: object) -> Check:
    return Check(name=name, verdict=Verdict.UNKNOWN, detail=str(detail))


class _Checks:
    """Each method that returns a `Check` is one."""

    def __init__(self, clients: Clients, region: str) -> None:
        self._clients = clients
        self._region = region

    def _client(self, service: str) -> Any:
        return self._clients.get(service, self._region)

    def account(self) -> Mapping[str, str] | TunestackError:
        """Ask who calls."""
        try:
            with translated("asking who calls"):
                identity: Mapping[str, str] = self._client("sts").get_caller_identity()
        except TunestackError as error:
            return error
        return identity

    def credentials(self, account: Mapping[str, str] | TunestackError) -> Check:
        """Tell who calls."""
        name = "credentials"
        if isinstance(account, TunestackError):
            return _failed(name, str(account), "`aws sts get-caller-identity` has to answer")
        return _passed(name, account["Arn"])

    def clock(self) -> Check:
        """Compare the clocks, by an answer of Bedrock's."""
        try:
            with translated("listing the models that can be tuned"):
                self._client("bedrock").list_foundation_models(byCustomizationType="FINE_TUNING")
        except TunestackError as error:
            return _unknown("clock", error)
        skew = self._clients.ahead(self._region).total_seconds()
        detail = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} AWS's"
        if abs(skew) > _MOST_SKEW:
            return _failed("clock", detail, "set this machine's clock (`timedatectl set-ntp true`)")
        return _passed("clock", detail)

    def deployment(self, deployment: Deployment, account: str) -> Check:
        """Compare the accounts."""
        name = "deployment"
        if deployment.account not in ("", account):
            return _failed(
                name,
                f"it is of account {deployment.account}, and the caller is of {account}",
                "use the credentials of the stage's account, or another stage",
            )
        return _passed(
            name, f"stage {deployment.stage or 'of the environment'} in {deployment.region}"
        )

    def bucket(self, deployment: Deployment) -> Check:
        """Look at the bucket: that it is there, of the account, and may be read."""
        name = f"bucket {deployment.data_bucket}"
        try:
            with translated("listing the outputs"):
                self._client("s3").list_objects_v2(
                    Bucket=deployment.data_bucket,
                    Prefix=deployment.outputs_prefix,
                    MaxKeys=1,
                    ExpectedBucketOwner=deployment.account,
                )
        except AccessError as error:
            return _failed(name, str(error), f"{_POLICY}; check whose bucket it is")
        except NotFoundError as error:
            return _failed(name, str(error), "run `cdk deploy`: the bucket is gone")
        except TunestackError as error:
            return _unknown(name, error)
        return _passed(name, "it is there, and this account's")

    def role(self, deployment: Deployment) -> Check:
        """Look at whom the job role trusts."""
        role = deployment.job_role_arn.rsplit("/", 1)[1]
        name = f"job role {role}"
        try:
            with translated("looking at the job role"):
                found = self._client("iam").get_role(RoleName=role)["Role"]
        except NotFoundError as error:
            return _failed(name, str(error), "run `cdk deploy`: the role is gone")
        except TunestackError as error:
            return _unknown(name, error)
        rows = found["AssumeRolePolicyDocument"]["Statement"]
        trusted = [
            row.get("Principal", {}).get("Service")
            for row in (rows if isinstance(rows, list) else [rows])
            if row.get("Effect") == "Allow" and isinstance(row.get("Principal"), dict)
        ]
        if not any("bedrock.amazonaws.com" in (one or ()) for one in trusted):
            return _failed(
                name, "Bedrock may not take it on", "run `cdk deploy`, which restores its trust"
            )
        return _passed(name, "Bedrock may take it on")

    def guard(self, deployment: Deployment) -> Check:
        """Look at whether anything would end endpoints."""
        name = "endpoint guard"
        if deployment.guard_arn is None or deployment.schedule_group is None:
            return _failed(name, "none is deployed: no endpoint by the hour", "run `cdk deploy`")
        try:
            with translated("looking at its schedules"):
                self._client("scheduler").get_schedule(
                    Name="tunestack-preflight", GroupName=deployment.schedule_group
                )
        except NotFoundError:  # whoever may ask for a schedule may arm one
            pass
        except AccessError as error:
            return _failed(name, str(error), _POLICY)
        except TunestackError as error:
            return _unknown(name, error)
        return _passed(name, f"ends endpoints after {deployment.max_endpoint_hours} h at most")

    def jobs(self) -> Check:
        """Compare the jobs that have not ended with the quota."""
        name = "quota of jobs"
        try:
            running = count_jobs(self._clients, self._region)
        except TunestackError as error:
            return _unknown(name, error)
        limit = read(self._clients, self._region, JOBS)
        detail = f"{running} run, at most {limit.text}"
        if not limit.is_applied:
            return _unknown(name, detail)
        if running >= limit.value:
            return _failed(name, detail, limit.remedy)
        return _passed(name, detail)

    def deployments(self) -> Check:
        """Compare the deployments with the quota, whose code is unknown."""
        name = "quota of deployments"
        count = self._count("list_custom_model_deployments")
        if isinstance(count, TunestackError):
            return _unknown(name, count)
        limit = read(self._clients, self._region, DEPLOYMENTS)
        detail = f"{count} of {limit.text}"
        if count >= limit.value:
            return _unknown(name, f"{detail}: if it applies, {limit.remedy}")
        return _passed(name, detail)

    def model_units(self) -> Check:
        """Check that provisioned throughput may be bought: the default quota is 0."""
        name = "quota of model units"
        try:
            limit = read_applied(self._clients, self._region, MODEL_UNITS)
        except TunestackError as error:
            return _unknown(name, error)
        if limit.value < 1:
            fix = (
                "this quota can't be raised in Service Quotas: fine-tune a model that is served on demand"
                if limit.is_adjustable is False
                else f"request an increase of {MODEL_UNITS.code} in Service Quotas before you train"
            )
            return _failed(name, f"{limit.text}: the fine-tuned model could not be served", fix)
        return _passed(name, limit.text)

    def _count(self, operation: str, **wanted: str) -> int | TunestackError:
        """Count what a list has on its first page."""
        try:
            with translated(f"asking {operation}"):
                page = getattr(self._client("bedrock"), operation)(maxResults=1000, **wanted)
        except TunestackError as error:
            return error
        return sum(len(rows) for rows in page.values() if isinstance(rows, list))
