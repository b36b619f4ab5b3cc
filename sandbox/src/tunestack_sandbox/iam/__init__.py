"""IAM policies and their evaluation, as AWS documents them.

Source: IAM user guide, reference_policies_evaluation-logic and reference_policies_elements (read 2026-11-22).
Not evaluated: organizations' policies, VPC endpoint policies, KMS grants, access points, tags of S3 objects.
"""

from tunestack_sandbox.iam.decision import AccessRequest, Decision, Policies, Verdict, decide
from tunestack_sandbox.iam.policy import (
    MalformedPolicyError,
    Principal,
    PrincipalKind,
    Statement,
    parse_statements,
)

__all__ = [
    "AccessRequest",
    "Decision",
    "MalformedPolicyError",
    "Policies",
    "Principal",
    "PrincipalKind",
    "Statement",
    "Verdict",
    "decide",
    "parse_statements",
]
