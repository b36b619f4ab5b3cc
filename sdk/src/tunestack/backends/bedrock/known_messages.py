"""Messages of Bedrock and Cost Explorer whose cause is not in their error code: what they mean, and what to do.

Sources (read 2026-11-29): user guide, fine-tuning-troubleshooting and encryption-custom-job; AWS re:Post knowledge center,
bedrock-invokemodel-api-error and bedrock-fine-tuning-errors; messages that users reported: aws-samples/amazon-bedrock-workshop
#100 and #367, ministryofjustice/modernisation-platform-environments #18323; of Cost Explorer: aws-samples/aws-cost-explorer-report
#15, redhat-performance/cloud-governance #1011; user guide of AWS Cost Management, ce-enable and ce-access.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunestack.errors import AccessError, InvalidRequestError, ProviderError, RoleError


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message with which Bedrock refuses requests."""

    pattern: re.Pattern[str]
    kind: type[ProviderError]
    """The class of the error."""
    remedy: str


_RESTORE = "restore the role with `cdk deploy`, or add what your own role lacks"
_REFUSALS = (
    Refusal(
        re.compile(r"could not assume provided IAM role", re.IGNORECASE),
        RoleError,
        "if the stage was deployed a few minutes ago, wait and submit again; else check the role's trust policy "
        "(`tunestack doctor`)",
    ),
    Refusal(
        re.compile(r"account is not authorized", re.IGNORECASE),
        AccessError,
        "AWS has not enabled this for the account, as in many new accounts, and no policy changes that: check that the region "
        "offers the model, then create a support case with AWS that names the operation and the region",
    ),
    Refusal(
        re.compile(r"INVALID_PAYMENT_INSTRUMENT|AWS Marketplace|aws-marketplace:"),
        AccessError,
        "accept the model's AWS Marketplace terms: open the model in the Bedrock console, as a user with "
        "aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions, check the payment method in Billing, and try again "
        "after 5 minutes",
    ),
    Refusal(
        re.compile(r"don.t have access to the model"),
        AccessError,
        "request access to the model in the Bedrock console (model catalog, model access), in this account and region",
    ),
    Refusal(
        re.compile(r"with on-demand throughput isn.t supported"),
        InvalidRequestError,
        "use an inference profile of the model, whose id has a geography before the model id: `us.`, `eu.` or `global.`",
    ),
    Refusal(
        re.compile(r"not authorized to perform: cloudwatch:GetMetricData"),
        AccessError,
        "the caller has no permission for cloudwatch:GetMetricData, which the stage's tuner and viewer policies allow since this "
        "version: run `cdk deploy` again",
    ),
    Refusal(
        re.compile(r"not authorized to perform: ce:"),
        AccessError,
        "grant ce:GetDimensionValues and ce:GetCostAndUsage (resource *) to the caller: no policy of the stage grants them, because "
        "a bill shows the whole account, and in the management account the whole organization",
    ),
    Refusal(
        re.compile(r"not enabled for cost explorer", re.IGNORECASE),
        AccessError,
        "open Cost Explorer once in the Billing and Cost Management console of the management account (costs appear within 24 "
        "hours); it must allow member accounts to use Cost Explorer (Cost Management preferences), and the account must have IAM "
        "access to billing activated (by the root user, on the Account page)",
    ),
    Refusal(
        re.compile(r"beyond (the past )?14 months"),
        InvalidRequestError,
        "use a later first day: Cost Explorer has 14 months, and up to 38 by month if the management account has enabled them",
    ),
)
_FAILURES = (
    (
        re.compile(r"PutObject permissions"),
        (
            "the bucket must be in the job's region, and the job role needs s3:PutObject for this key, and kms:GenerateDataKey for "
            f"the bucket's KMS key: {_RESTORE}"
        ),
    ),
    (
        re.compile(r"GetObject permissions"),
        (
            "the bucket must be in the job's region, and the job role needs s3:ListBucket for the bucket, s3:GetObject for this "
            f"key, and kms:Decrypt for the bucket's KMS key: {_RESTORE}"
        ),
    ),
    (
        re.compile(r"\bKMS\b|kms:"),
        (
            "the key must be enabled, and the job role needs kms:CreateGrant, kms:Decrypt, kms:DescribeKey and kms:GenerateDataKey "
            f"for it: {_RESTORE}"
        ),
    ),
)
"""Messages of failed jobs, and what to do."""


def find_refusal(message: str) -> Refusal | None:
    """Return what is known about the message of a refused request, or `None`."""
    return next((known for known in _REFUSALS if known.pattern.search(message)), None)


def find_remedy(message: str) -> str | None:
    """Return what to do about the message of a failed job, or `None`."""
    known = [(refusal.pattern, refusal.remedy) for refusal in _REFUSALS]
    return next(
        (remedy for pattern, remedy in (*known, *_FAILURES) if pattern.search(message)), None
    )
