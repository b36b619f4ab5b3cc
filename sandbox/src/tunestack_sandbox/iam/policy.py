"""Policy documents, and whether a statement of one is about a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.iam.conditions import hold, require_operator
from tunestack_sandbox.iam.text import matcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Context = Mapping[str, Sequence[str]]

_WITH_VARIABLES = "2012-10-17"
_VERSIONS = ("2008-10-17", _WITH_VARIABLES)
_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


# What each text of an element holds, unless it is `*`.
_SIGNS = {"Action": ":", "NotAction": ":", "Resource": "arn:", "NotResource": "arn:"}


class MalformedPolicyError(ValueError):
    """A policy that AWS would not have stored, and the emulator did."""


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
            return any(_fits(_whole(text), resource, known) for text in _listed(texts))

        if "NotResource" in self.content:
            return not named(self.content["NotResource"])
        # A trust policy names no resource: it is about its role.
        return named(self.content.get("Resource", "*"))

    def names(self, principal: Principal, *, bounded: bool) -> How | None:
        """Tell how the statement names a principal; `None` when it does not.

        Args:
            principal: who asks.
            bounded: whether they have a permissions boundary, whom a Deny with NotPrincipal always denies.
        """
        if "NotPrincipal" in self.content:
            exempt = _exempts(self.content["NotPrincipal"], principal)
            return None if exempt and not (bounded and not self.allows) else How.AS_ANYONE
        ways = _ways(self.content.get("Principal", {}), principal)
        # The most personal way counts.
        for way in (How.BY_ITSELF, How.AS_ANYONE, How.BY_ROLE, How.BY_ACCOUNT):
            if way in ways:
                return way
        return None


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """Read the statements of a policy document.

    Raises:
        MalformedPolicyError: it is not as IAM's grammar has it.
    """
    try:
        content = json.loads(document) if isinstance(document, str) else document
        version, found = content.get("Version", _VERSIONS[0]), _listed(content["Statement"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedPolicyError(f"malformed policy: {error!r} in {document!r}") from error
    if version not in _VERSIONS:
        raise MalformedPolicyError(f"malformed policy: no version {version!r}")
    variables = version == _WITH_VARIABLES
    for entry in found:
        _check(entry)
    return [
        Statement(allows=entry["Effect"] == "Allow", content=entry, variables=variables)
        for entry in found
    ]


def _check(entry: Any) -> None:
    """Refuse a statement that AWS would not have stored.

    Raises:
        MalformedPolicyError: it is not as IAM's grammar has it.
    """
    try:
        right = (
            entry["Effect"] in ("Allow", "Deny")
            and entry.keys() <= _ELEMENTS
            and bool({"Action", "NotAction"} & entry.keys())
            and all(
                texts and all(text == "*" or sign in text for text in texts)
                for member, sign in _SIGNS.items()
                if member in entry
                for texts in [_listed(entry[member])]
            )
            and all(
                named == "*" or isinstance(named, dict)
                for member in ("Principal", "NotPrincipal")
                for named in [entry.get(member, "*")]
            )
        )
        for operator, block in entry.get("Condition", {}).items():
            require_operator(operator)
            right = right and all(
                isinstance(value, str | int | float)
                for values in block.values()
                for value in _listed(values)
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedPolicyError(f"malformed policy: {error!r} in {entry!r}") from error
    if not right:
        raise MalformedPolicyError(f"malformed policy: {entry!r}")


def _ways(named: Any, principal: Principal) -> set[How]:
    if named == "*":
        named = {"AWS": "*"}
    if principal.kind is PrincipalKind.SERVICE:
        everyone = "*" in _listed(named.get("AWS", []))
        named_itself = principal.arn in _listed(named.get("Service", []))
        return {How.BY_ITSELF} if named_itself or everyone else set()
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


def _exempts(named: Any, principal: Principal) -> bool:
    """Tell whether NotPrincipal leaves a principal out: only when each that it is part of is named.

    Source: IAM user guide, reference_policies_elements_notprincipal (read 2026-11-22).
    """
    if named == "*" or principal.kind is PrincipalKind.SERVICE:
        return bool(_ways(named, principal))
    texts = set(_listed(named.get("AWS", [])))
    account = {principal.account, f"arn:aws:iam::{principal.account}:root"}
    needed = {principal.arn, principal.role} - account - {None}
    return bool(texts & account) and needed <= texts


def _whole(arn: str) -> str:
    """Complete an ARN that ends early: `arn:aws:s3` is `arn:aws:s3:*:*:*`."""
    missing = 5 - arn.count(":")
    return arn + ":*" * missing if arn.startswith("arn:") and "${" not in arn else arn


def _fits(text: str, value: str, context: Context | None) -> bool:
    pattern = matcher(text, context)
    return pattern is not None and pattern.fullmatch(value) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
