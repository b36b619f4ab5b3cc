"""What the policies that count decide of a request, and how AWS words a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tunestack_sandbox.iam.policy import How, Principal, PrincipalKind, Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

IDENTITY = "identity-based policy"
RESOURCE = "resource-based policy"
BOUNDARY = "permissions boundary"
SESSION = "session policy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who wants to do what to which resource."""

    principal: Principal
    action: str
    resource: str
    account: str
    """The account of the resource."""
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Condition keys of the request; those of the principal are added."""

    def keys(self) -> dict[str, list[str]]:
        """List all condition keys, in lower case, each with its values."""
        common: dict[str, str | Sequence[str]] = {"aws:ResourceAccount": self.account}
        if self.principal.account is not None:
            common["aws:PrincipalArn"] = self.principal.role or self.principal.arn
            common["aws:PrincipalAccount"] = self.principal.account
        return {
            key.lower(): [values] if isinstance(values, str) else list(values)
            for source in (common, self.principal.keys, self.context)
            for key, values in source.items()
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """The policies that count; `None` where there is none of the kind, which limits nothing."""

    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    session: Sequence[Statement] | None = None
    resource: Sequence[Statement] | None = None
    resource_decides: bool = False
    """Whether nothing is allowed that the resource's policy does not allow: KMS keys, trust policies."""


class Verdict(StrEnum):
    """What comes of it."""

    ALLOWED = "allowed"
    EXPLICITLY_DENIED = "explicitly denied"
    IMPLICITLY_DENIED = "implicitly denied"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A verdict, and the kind of policy that it is owed to."""

    verdict: Verdict
    by: str | None = None
    access: Access

    @property
    def allowed(self) -> bool:
        """Whether it may be done."""
        return self.verdict is Verdict.ALLOWED

    def message(self, *, names_resource: bool = True) -> str:
        """Say why not, in AWS's words."""
        access = self.access
        where = f" on resource: {access.resource}" if names_resource else ""
        article = "an" if self.by and self.by[0] in "aeiou" else "a"
        why = (
            f"with an explicit deny in {article} {self.by}"
            if self.verdict is Verdict.EXPLICITLY_DENIED
            else f"because no {self.by} allows the {access.action} action"
        )
        return f"User: {access.principal.arn} is not authorized to perform: {access.action}{where} {why}"


def decide(access: Access, policies: Policies) -> Decision:
    """Decide by IAM's rules: an explicit deny ends it, something has to allow, and whatever limits has to allow too."""
    keys = access.keys()

    def about(statements: Sequence[Statement] | None) -> list[Statement]:
        return [
            statement
            for statement in statements or ()
            if statement.about(access.action, access.resource, keys)
        ]

    who = access.principal
    identity = about(policies.identity)
    limits = {
        BOUNDARY: None if policies.boundary is None else about(policies.boundary),
        SESSION: None if policies.session is None else about(policies.session),
    }
    resource = [
        (way, statement)
        for statement in about(policies.resource)
        if (way := statement.names(who, bounded=policies.boundary is not None)) is not None
    ]
    kinds = {
        IDENTITY: identity,
        **limits,
        RESOURCE: [statement for _, statement in resource],
    }
    for kind, statements in kinds.items():
        if any(not statement.allows for statement in statements or ()):
            return Decision(verdict=Verdict.EXPLICITLY_DENIED, by=kind, access=access)
    missing = _missing(access, policies, bool(identity), {way for way, _ in resource}, limits)
    verdict = Verdict.ALLOWED if missing is None else Verdict.IMPLICITLY_DENIED
    return Decision(verdict=verdict, by=missing, access=access)


def _missing(
    access: Access,
    policies: Policies,
    identity: bool,  # noqa: FBT001 - whether one allows
    ways: Collection[How],
    limits: Mapping[str, Sequence[Statement] | None],
) -> str | None:
    """Tell which kind of policy would have to allow, where nothing denies; `None` when all do that must."""
    who = access.principal
    same_account = who.account == access.account
    if not ways and (policies.resource_decides or not same_account):
        return RESOURCE
    allowed = identity or who.kind is PrincipalKind.ROOT
    if same_account or who.kind is PrincipalKind.SERVICE:
        # The account as a whole being named leaves it to its identity policies.
        allowed = allowed or any(way is not How.BY_ACCOUNT for way in ways)
    if not allowed:
        return IDENTITY
    if same_account and {How.BY_ITSELF, How.AS_ANYONE} & set(ways):
        # Whom the resource's own policy names, in person or by a wildcard, is not held back by limits that say nothing.
        return None
    return next(
        (kind for kind, statements in limits.items() if statements is not None and not statements),
        None,
    )
