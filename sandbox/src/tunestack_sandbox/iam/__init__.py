"""IAM as AWS documents it: policies, and what they decide of a request.

Source: IAM user guide, reference_policies_evaluation-logic and reference_policies_elements (read 2026-11-22).
Not played: organizations' policies, VPC endpoint policies, KMS grants, access points, tags of S3 objects.
"""

from tunestack_sandbox.iam.decision import Access, Decision, Policies, Verdict, decide
from tunestack_sandbox.iam.policy import (
    MalformedPolicyError,
    Principal,
    PrincipalKind,
    Statement,
    statements,
)

__all__ = [
    "Access",
    "Decision",
    "MalformedPolicyError",
    "Policies",
    "Principal",
    "PrincipalKind",
    "Statement",
    "Verdict",
    "decide",
    "statements",
]
