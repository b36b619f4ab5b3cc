"""Policy documents, and whether their statements match a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.iam.conditions import check_operator, evaluate_conditions
from tunestack_sandbox.iam.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Context = Mapping[str, Sequence[str]]

_VERSION_WITH_VARIABLES = "2012-10-17"
_VERSIONS = ("2008-10-17", _VERSION_WITH_VARIABLES)
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

# Each string of these elements contains this text, unless it is `*`.
_REQUIRED_TEXTS = {"Action": ":", "NotAction": ":", "Resource": "arn:", "NotResource": "arn:"}


class MalformedPolicyError(ValueError):
    """A policy that AWS would not store, but the emulator does."""


class PrincipalKind(StrEnum):
    """The kinds of principals."""

    ROOT = "root"
    USER = "user"
    SESSION = "session"
    """An assumed role."""
    SERVICE = "service"
    """An AWS service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """The principal of a request."""

    kind: PrincipalKind
    arn: str
    """The ARN, or the name of a service, such as `bedrock.amazonaws.com`."""
    account: str | None = None
    role: str | None = None
    """The ARN of the role, if the principal is a session."""
    condition_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The condition keys of the principal, such as `aws:PrincipalTag/team`."""


class PrincipalMatch(StrEnum):
    """How a statement names a principal, which decides which other policies must allow the request."""

    ACCOUNT = "account"
    """By its account: the identity policies decide."""
    ROLE = "role"
    ANYONE = "anyone"
    PRINCIPAL = "principal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a policy."""

    allows: bool
    content: Mapping[str, Any]
    supports_variables: bool

    def matches(self, action: str, resource: str, context: Context) -> bool:
        """Return whether the action, the resource and the conditions match. The principal is not checked."""
        return (
            self._matches_action(action)
            and self._matches_resource(resource, context)
            and evaluate_conditions(
                self.content.get("Condition", {}),
                context,
                supports_variables=self.supports_variables,
            )
        )

    def _matches_action(self, action: str) -> bool:
        def matches_any(texts: Any) -> bool:
            return any(_matches(text.lower(), action.lower(), None) for text in _to_list(texts))

        if "NotAction" in self.content:
            return not matches_any(self.content["NotAction"])
        return matches_any(self.content.get("Action", []))

    def _matches_resource(self, resource: str, context: Context) -> bool:
        variables = context if self.supports_variables else None

        def matches_any(texts: Any) -> bool:
            return any(
                _matches(_complete_arn(text), resource, variables) for text in _to_list(texts)
            )

        if "NotResource" in self.content:
            return not matches_any(self.content["NotResource"])
        # The statements of a trust policy have no resource.
        return matches_any(self.content.get("Resource", "*"))

    def match_principal(self, principal: Principal, *, is_bounded: bool) -> PrincipalMatch | None:
        """Return how the statement names a principal; `None` if it does not.

        Args:
            principal: The principal.
            is_bounded: Whether it has a permissions boundary: a Deny with NotPrincipal always denies such a principal.
        """
        if "NotPrincipal" in self.content:
            is_exempt = _is_exempt(self.content["NotPrincipal"], principal)
            if is_exempt and (self.allows or not is_bounded):
                return None
            return PrincipalMatch.ANYONE
        found = _find_matches(self.content.get("Principal", {}), principal)
        # The most specific match decides.
        for match in (
            PrincipalMatch.PRINCIPAL,
            PrincipalMatch.ANYONE,
            PrincipalMatch.ROLE,
            PrincipalMatch.ACCOUNT,
        ):
            if match in found:
                return match
        return None


def parse_statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """Parse the statements of a policy document.

    Raises:
        MalformedPolicyError: The document does not have IAM's grammar.
    """
    try:
        content = json.loads(document) if isinstance(document, str) else document
        version, entries = content.get("Version", _VERSIONS[0]), _to_list(content["Statement"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedPolicyError(f"malformed policy: {error!r} in {document!r}") from error
    if version not in _VERSIONS:
        raise MalformedPolicyError(f"malformed policy: unknown version {version!r}")
    for entry in entries:
        _check_statement(entry)
    return [
        Statement(
            allows=entry["Effect"] == "Allow",
            content=entry,
            supports_variables=version == _VERSION_WITH_VARIABLES,
        )
        for entry in entries
    ]


def _check_statement(entry: Any) -> None:
    """Check a statement by IAM's grammar.

    Raises:
        MalformedPolicyError: AWS would not store the statement.
    """
    try:
        is_valid = (
            entry["Effect"] in ("Allow", "Deny")
            and entry.keys() <= _ELEMENTS
            and bool({"Action", "NotAction"} & entry.keys())
            and all(
                texts and all(text == "*" or required in text for text in texts)
                for member, required in _REQUIRED_TEXTS.items()
                if member in entry
                for texts in [_to_list(entry[member])]
            )
            and all(
                principal == "*" or isinstance(principal, dict)
                for member in ("Principal", "NotPrincipal")
                for principal in [entry.get(member, "*")]
            )
        )
        for operator, block in entry.get("Condition", {}).items():
            check_operator(operator)
            is_valid = is_valid and all(
                isinstance(value, str | int | float)
                for values in block.values()
                for value in _to_list(values)
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedPolicyError(f"malformed policy: {error!r} in {entry!r}") from error
    if not is_valid:
        raise MalformedPolicyError(f"malformed policy: {entry!r}")


def _find_matches(element: Any, principal: Principal) -> set[PrincipalMatch]:
    """Return how a Principal element names a principal."""
    if element == "*":
        element = {"AWS": "*"}
    if principal.kind is PrincipalKind.SERVICE:
        is_anyone = "*" in _to_list(element.get("AWS", []))
        is_named = principal.arn in _to_list(element.get("Service", []))
        return {PrincipalMatch.PRINCIPAL} if is_named or is_anyone else set()
    matches = set()
    for text in _to_list(element.get("AWS", [])):
        if text in (principal.account, f"arn:aws:iam::{principal.account}:root"):
            is_root = principal.arn == text
            matches.add(PrincipalMatch.PRINCIPAL if is_root else PrincipalMatch.ACCOUNT)
        elif text == "*":
            matches.add(PrincipalMatch.ANYONE)
        elif text == principal.arn:
            matches.add(PrincipalMatch.PRINCIPAL)
        elif text == principal.role:
            matches.add(PrincipalMatch.ROLE)
    return matches


def _is_exempt(element: Any, principal: Principal) -> bool:
    """Return whether a NotPrincipal element exempts a principal: it must name its session, its role and its account.

    Source: IAM user guide, reference_policies_elements_notprincipal (read 2026-11-22).
    """
    if element == "*" or principal.kind is PrincipalKind.SERVICE:
        return bool(_find_matches(element, principal))
    texts = set(_to_list(element.get("AWS", [])))
    account = {principal.account, f"arn:aws:iam::{principal.account}:root"}
    needed = {principal.arn, principal.role} - account - {None}
    return bool(texts & account) and needed <= texts


def _complete_arn(arn: str) -> str:
    """Complete a short ARN: `arn:aws:s3` means `arn:aws:s3:*:*:*`."""
    missing = 5 - arn.count(":")
    return arn + ":*" * missing if arn.startswith("arn:") and "${" not in arn else arn


def _matches(text: str, value: str, context: Context | None) -> bool:
    pattern = compile_pattern(text, context)
    return pattern is not None and pattern.fullmatch(value) is not None


def _to_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
