"""Policy documents, and whether a statement of one is about a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tunestack.sandbox.iam.conditions import hold
from tunestack.sandbox.iam.text import matcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Context = Mapping[str, Sequence[str]]

_WITH_VARIABLES = "2012-10-17"


class PrincipalKind(StrEnum):
    """Who can ask."""

    ROOT = "root"
    USER = "user"
    SESSION = "session"
    """A role that was assumed."""
    SERVICE = "service"
    """An AWS service in its own name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks."""

    kind: PrincipalKind
    arn: str
    """An ARN; a service's name, such as `bedrock.amazonaws.com`."""
    account: str | None = None
    role: str | None = None
    """The ARN of the role, of a session."""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Condition keys that tell of it, such as `aws:PrincipalTag/team`, in lower case."""


class How(StrEnum):
    """How a statement names a principal; decides which other policies still count."""

    BY_ACCOUNT = "by account"
    """The account as a whole: its identity policies decide."""
    BY_ROLE = "by role"
    AS_ANYONE = "as anyone"
    BY_ITSELF = "by itself"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a policy."""

    allows: bool
    content: Mapping[str, Any]
    variables: bool

    def about(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether action, resource and conditions fit; the principal is not looked at."""
        return (
            self._names_action(action)
            and self._names_resource(resource, context)
            and hold(self.content.get("Condition", {}), context, variables=self.variables)
        )

    def _names_action(self, action: str) -> bool:
        def named(texts: Any) -> bool:
            return any(_fits(text.lower(), action.lower(), None) for text in _listed(texts))

        if "NotAction" in self.content:
            return not named(self.content["NotAction"])
        return named(self.content.get("Action", []))

    def _names_resource(self, resource: str, context: Context) -> bool:
        known = context if self.variables else None

        def named(texts: Any) -> bool:
            return any(_fits(text, resource, known) for text in _listed(texts))

        if "NotResource" in self.content:
            return not named(self.content["NotResource"])
        # A trust policy names no resource: it is about its role.
        return named(self.content.get("Resource", "*"))

    def names(self, principal: Principal) -> How | None:
        """Tell how the statement names a principal; `None` when it does not."""
        if "NotPrincipal" in self.content:
            ways = _ways(self.content["NotPrincipal"], principal)
            return None if ways else How.BY_ACCOUNT
        ways = _ways(self.content.get("Principal", {}), principal)
        # The most personal way counts.
        for way in (How.BY_ITSELF, How.AS_ANYONE, How.BY_ROLE, How.BY_ACCOUNT):
            if way in ways:
                return way
        return None


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """Read the statements of a policy document."""
    content = json.loads(document) if isinstance(document, str) else document
    variables = content.get("Version") == _WITH_VARIABLES
    return [
        Statement(allows=entry["Effect"] == "Allow", content=entry, variables=variables)
        for entry in _listed(content.get("Statement", []))
    ]


def _ways(named: Any, principal: Principal) -> set[How]:
    if named == "*":
        named = {"AWS": "*", "Service": principal.arn}
    if principal.kind is PrincipalKind.SERVICE:
        return {How.BY_ITSELF} if principal.arn in _listed(named.get("Service", [])) else set()
    ways = set()
    for text in _listed(named.get("AWS", [])):
        if text in (principal.account, f"arn:aws:iam::{principal.account}:root"):
            ways.add(How.BY_ITSELF if principal.arn == text else How.BY_ACCOUNT)
        elif text == "*":
            ways.add(How.AS_ANYONE)
        elif text == principal.arn:
            ways.add(How.BY_ITSELF)
        elif text == principal.role:
            ways.add(How.BY_ROLE)
    return ways


def _fits(text: str, value: str, context: Context | None) -> bool:
    pattern = matcher(text, context)
    return pattern is not None and pattern.fullmatch(value) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
