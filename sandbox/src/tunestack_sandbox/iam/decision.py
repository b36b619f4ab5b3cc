"""The evaluation of policies for a request, and AWS's message for a denied request."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tunestack_sandbox.iam.policy import Principal, PrincipalKind, PrincipalMatch, Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

IDENTITY = "identity-based policy"
RESOURCE = "resource-based policy"
BOUNDARY = "permissions boundary"
SESSION = "session policy"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessRequest:
    """A request of a principal for an action on a resource."""

    principal: Principal
    action: str
    resource: str
    account: str
    """The account of the resource."""
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """The condition keys of the request, without those of the principal."""

    def condition_keys(self) -> dict[str, list[str]]:
        """Return all condition keys in lower case, each with its values."""
        common: dict[str, str | Sequence[str]] = {"aws:ResourceAccount": self.account}
        if self.principal.account is not None:
            common["aws:PrincipalArn"] = self.principal.role or self.principal.arn
            common["aws:PrincipalAccount"] = self.principal.account
        return {
            key.lower(): [values] if isinstance(values, str) else list(values)
            for source in (common, self.principal.condition_keys, self.context)
            for key, values in source.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """The policies that apply to a request. `None` means that there is no policy of the type, which limits nothing."""

    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    session: Sequence[Statement] | None = None
    resource: Sequence[Statement] | None = None
    requires_resource_policy: bool = False
    """Whether the resource's policy must allow the action, as for KMS keys and trust policies."""


class Verdict(StrEnum):
    """The result of an evaluation."""

    ALLOWED = "allowed"
    EXPLICITLY_DENIED = "explicitly denied"
    IMPLICITLY_DENIED = "implicitly denied"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A verdict, and the type of policy that causes a denial."""

    verdict: Verdict
    policy_type: str | None = None
    request: AccessRequest

    @property
    def allowed(self) -> bool:
        """Whether the request is allowed."""
        return self.verdict is Verdict.ALLOWED

    def message(self, *, names_resource: bool = True) -> str:
        """Return AWS's message for a denied request."""
        request, kind = self.request, self.policy_type
        resource = f" on resource: {request.resource}" if names_resource else ""
        article = "an" if kind and kind[0] in "aeiou" else "a"
        reason = (
            f"with an explicit deny in {article} {kind}"
            if self.verdict is Verdict.EXPLICITLY_DENIED
            else f"because no {kind} allows the {request.action} action"
        )
        return (
            f"User: {request.principal.arn} is not authorized to perform: "
            f"{request.action}{resource} {reason}"
        )


def decide(request: AccessRequest, policies: Policies) -> Decision:
    """Evaluate policies by IAM's rules.

    An explicit deny always denies. Otherwise a policy must allow the request, and all policies that limit permissions
    (permissions boundary, session policy) must allow it, too.
    """
    keys = request.condition_keys()

    def select_matching(statements: Sequence[Statement] | None) -> list[Statement]:
        return [
            statement
            for statement in statements or ()
            if statement.matches(request.action, request.resource, keys)
        ]

    is_bounded = policies.boundary is not None
    identity = select_matching(policies.identity)
    limits = {
        BOUNDARY: None if policies.boundary is None else select_matching(policies.boundary),
        SESSION: None if policies.session is None else select_matching(policies.session),
    }
    resource = [
        (match, statement)
        for statement in select_matching(policies.resource)
        if (match := statement.match_principal(request.principal, is_bounded=is_bounded))
    ]
    statements_by_type = {
        IDENTITY: identity,
        **limits,
        RESOURCE: [statement for _, statement in resource],
    }
    for policy_type, statements in statements_by_type.items():
        if any(not statement.allows for statement in statements or ()):
            return Decision(
                verdict=Verdict.EXPLICITLY_DENIED, policy_type=policy_type, request=request
            )
    missing = _find_missing_policy(
        request,
        policies,
        is_allowed_by_identity=bool(identity),
        matches={match for match, _ in resource},
        limits=limits,
    )
    verdict = Verdict.ALLOWED if missing is None else Verdict.IMPLICITLY_DENIED
    return Decision(verdict=verdict, policy_type=missing, request=request)


def _find_missing_policy(
    request: AccessRequest,
    policies: Policies,
    *,
    is_allowed_by_identity: bool,
    matches: Collection[PrincipalMatch],
    limits: Mapping[str, Sequence[Statement] | None],
) -> str | None:
    """Return the type of policy that does not allow a request that no policy denies; `None` if it is allowed."""
    principal = request.principal
    is_same_account = principal.account == request.account
    if not matches and (policies.requires_resource_policy or not is_same_account):
        return RESOURCE
    is_allowed = is_allowed_by_identity or principal.kind is PrincipalKind.ROOT
    if is_same_account or principal.kind is PrincipalKind.SERVICE:
        # A resource policy that names the account leaves the decision to its identity policies.
        is_allowed = is_allowed or any(match is not PrincipalMatch.ACCOUNT for match in matches)
    if not is_allowed:
        return IDENTITY
    if is_same_account and {PrincipalMatch.PRINCIPAL, PrincipalMatch.ANYONE} & set(matches):
        # An implicit deny of a limit has no effect if the resource policy names the principal or everyone.
        return None
    return next(
        (kind for kind, statements in limits.items() if statements is not None and not statements),
        None,
    )
