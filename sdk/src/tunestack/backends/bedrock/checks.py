"""Preflight checks of an AWS account, before a job is billed.

The tuner policy is enough for all of them: what it does not allow to read is reported as unknown, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.backends.base import Check, Verdict
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.quotas import (
    DEPLOYMENTS,
    JOBS,
    MODEL_UNITS,
    Quota,
    count_jobs,
    quota_link,
    read_applied_quota,
    read_quota,
    units_quota,
)
from tunestack.backends.bedrock.s3 import find_bucket_region
from tunestack.catalog import Serving
from tunestack.errors import AccessError, NotFoundError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.catalog import BaseModel
    from tunestack.deployment import Deployment

_MAX_CLOCK_SKEW = 300
"""Seconds; AWS refuses signatures whose time differs by more."""
_SIGN_IN = "sign in (`aws login`, `aws sso login`) or set AWS_PROFILE, until `aws sts get-caller-identity` succeeds"
_POLICY = "attach the stage's tuner policy (stack output `TunerPolicyArn`)"


def run_checks(
    clients: Clients,
    region: str,
    find_deployment: Callable[[], Deployment],
    model: BaseModel | None,
) -> Iterator[Check]:
    """Run the checks in the order in which they depend on each other; a check never raises.

    Args:
        clients: the clients that make the calls.
        region: the AWS region.
        find_deployment: returns the deployment, with its endpoint guard.
        model: the model to fine-tune; `None` checks what every model needs.
    """
    checks = _AccountChecks(clients, region)
    identity = checks.get_identity()
    yield checks.check_credentials(identity)
    if isinstance(identity, TunestackError):
        return
    yield checks.check_clock()
    try:
        deployment = find_deployment()
    except TunestackError as error:
        is_missing = isinstance(error.__cause__, NotFoundError)
        fix = "run `cdk deploy` in this account and region" if is_missing else "change that setting"
        yield _failed("deployment", str(error), fix)
        return
    yield checks.check_deployment(deployment, identity["Account"])
    yield checks.check_bucket(deployment)
    yield checks.check_role(deployment)
    yield checks.check_guard(deployment)
    yield checks.check_job_quota()
    if model is not None and Serving.ON_DEMAND in model.serving:
        yield checks.check_deployment_quota()
    elif model is not None:
        yield checks.check_model_units("quota of model units", MODEL_UNITS)
        yield checks.check_model_units(f"quota of model units of {model.key}", units_quota(model))


def _passed(name: str, detail: str) -> Check:
    return Check(name=name, verdict=Verdict.PASS, detail=detail)


def _failed(name: str, detail: str, fix: str, link: str | None = None) -> Check:
    return Check(name=name, verdict=Verdict.FAIL, detail=detail, fix=fix, link=link)


def _unknown(name: str, detail: object) -> Check:
    return Check(name=name, verdict=Verdict.UNKNOWN, detail=str(detail))


class _AccountChecks:
    """The checks of one account in one region."""

    def __init__(self, clients: Clients, region: str) -> None:
        self._clients = clients
        self._region = region

    def _client(self, service: str) -> Any:
        return self._clients.get(service, self._region)

    def get_identity(self) -> Mapping[str, str] | TunestackError:
        """Return the caller's identity, or the error."""
        try:
            with translate_errors("getting the caller's identity"):
                identity: Mapping[str, str] = self._client("sts").get_caller_identity()
        except TunestackError as error:
            return error
        return identity

    def check_credentials(self, identity: Mapping[str, str] | TunestackError) -> Check:
        """Check that AWS accepts the credentials."""
        name = "credentials"
        if isinstance(identity, TunestackError):
            return _failed(name, str(identity), _SIGN_IN)
        return _passed(name, identity["Arn"])

    def check_clock(self) -> Check:
        """Compare this machine's clock with Bedrock's, as of a response."""
        try:
            with translate_errors("listing models that can be fine-tuned"):
                self._client("bedrock").list_foundation_models(byCustomizationType="FINE_TUNING")
        except TunestackError as error:
            return _unknown("clock", error)
        skew = self._clients.clock_offset(self._region).total_seconds()
        detail = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} AWS's"
        if abs(skew) > _MAX_CLOCK_SKEW:
            return _failed("clock", detail, "set this machine's clock (`timedatectl set-ntp true`)")
        return _passed("clock", detail)

    def check_deployment(self, deployment: Deployment, account: str) -> Check:
        """Check that the deployment belongs to the caller's account."""
        name = "deployment"
        if deployment.account not in ("", account):
            return _failed(
                name,
                f"it belongs to account {deployment.account}, the credentials to account {account}",
                "use the credentials of the stage's account, or another stage",
            )
        return _passed(
            name, f"stage {deployment.stage or 'of the environment'} in {deployment.region}"
        )

    def check_bucket(self, deployment: Deployment) -> Check:
        """Check that the bucket exists, belongs to the account, is in the region, and can be read."""
        name = f"bucket {deployment.data_bucket}"
        client = self._client("s3")
        try:
            with translate_errors("listing the outputs"):
                client.list_objects_v2(
                    Bucket=deployment.data_bucket,
                    Prefix=deployment.outputs_prefix,
                    MaxKeys=1,
                    ExpectedBucketOwner=deployment.account,
                )
                region = find_bucket_region(client, deployment.data_bucket, deployment.account)
        except AccessError as error:
            fix = f"{_POLICY}; check which account owns the bucket"
            return _failed(name, str(error), fix)
        except NotFoundError as error:
            return _failed(name, str(error), "run `cdk deploy`: the bucket was deleted")
        except TunestackError as error:
            return _unknown(name, error)
        if region not in (None, self._region):
            fix = f"use a bucket in {self._region}, where the jobs run"
            return _failed(name, f"it is in {region}, where jobs can't read it", fix)
        return _passed(name, "it exists and belongs to this account")

    def check_role(self, deployment: Deployment) -> Check:
        """Check that Bedrock may assume the job role."""
        role = deployment.job_role_arn.rsplit("/", 1)[1]
        name = f"job role {role}"
        try:
            with translate_errors("getting the job role"):
                answer = self._client("iam").get_role(RoleName=role)["Role"]
        except NotFoundError as error:
            return _failed(name, str(error), "run `cdk deploy`: the role was deleted")
        except TunestackError as error:
            return _unknown(name, error)
        statements = answer["AssumeRolePolicyDocument"]["Statement"]
        trusted = [
            statement.get("Principal", {}).get("Service")
            for statement in (statements if isinstance(statements, list) else [statements])
            if statement.get("Effect") == "Allow" and isinstance(statement.get("Principal"), dict)
        ]
        if not any("bedrock.amazonaws.com" in (services or ()) for services in trusted):
            fix = "run `cdk deploy`, which restores the role's trust policy"
            return _failed(name, "Bedrock may not assume it", fix)
        return _passed(name, "Bedrock may assume it")

    def check_guard(self, deployment: Deployment) -> Check:
        """Check that an endpoint guard is deployed, and that the caller may use its schedules."""
        name = "endpoint guard"
        if deployment.guard_arn is None or deployment.schedule_group is None:
            detail = "not deployed: endpoints that are billed by the hour can't be started"
            return _failed(name, detail, "run `cdk deploy`")
        try:
            with translate_errors("getting a schedule of the endpoint guard"):
                self._client("scheduler").get_schedule(
                    Name="tunestack-preflight", GroupName=deployment.schedule_group
                )
        except NotFoundError:  # the policy that allows to get schedules also allows to create them
            pass
        except AccessError as error:
            return _failed(name, str(error), _POLICY)
        except TunestackError as error:
            return _unknown(name, error)
        return _passed(name, f"deletes endpoints after at most {deployment.max_endpoint_hours} h")

    def check_job_quota(self) -> Check:
        """Compare the jobs that have not ended with the quota."""
        name = "quota of jobs"
        try:
            running = count_jobs(self._clients, self._region)
        except TunestackError as error:
            return _unknown(name, error)
        limit = read_quota(self._clients, self._region, JOBS)
        detail = f"{running} running, at most {limit.text}"
        if not limit.is_applied:
            return _unknown(name, detail)
        if running >= limit.value:
            return _failed(name, detail, limit.remedy, quota_link(self._region, JOBS))
        return _passed(name, detail)

    def check_deployment_quota(self) -> Check:
        """Compare the number of deployments with the quota, whose code is unknown."""
        name = "quota of deployments"
        try:
            with translate_errors("listing deployments"):
                page = self._client("bedrock").list_custom_model_deployments(maxResults=1000)
        except TunestackError as error:
            return _unknown(name, error)
        count = len(page.get("modelDeploymentSummaries", ()))
        limit = read_quota(self._clients, self._region, DEPLOYMENTS)
        detail = f"{count} of {limit.text}"
        if count >= limit.value:
            return _unknown(name, f"{detail}: if it applies, {limit.remedy}")
        return _passed(name, detail)

    def check_model_units(self, name: str, quota: Quota) -> Check:
        """Check that provisioned throughput can be created: both quotas are 0 model units by default."""
        try:
            limit = read_applied_quota(self._clients, self._region, quota)
        except TunestackError as error:
            return _unknown(name, error)
        if limit.value < 1:
            fix = (
                "this quota can't be raised in Service Quotas: fine-tune a model that is served on demand"
                if limit.is_adjustable is False
                else f"request an increase of {quota.code} before you train: `aws service-quotas "
                f"request-service-quota-increase --service-code bedrock --quota-code {quota.code} --desired-value 1 "
                f"--region {self._region}`"
            )
            detail = f"{limit.text}: the fine-tuned model could not be served"
            return _failed(name, detail, fix, quota_link(self._region, quota))
        return _passed(name, limit.text)
