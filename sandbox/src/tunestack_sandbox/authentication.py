"""The callers of requests: their credentials, identified with the emulator, and the policies that apply to them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bearer_tokens import (
    EXPIRED_KEY_MESSAGE,
    INVALID_KEY_MESSAGE,
    INVALID_PREFIX_MESSAGE,
    LONG_TERM_PREFIX,
    SHORT_TERM_PREFIX,
    parse_short_term_key,
)
from tunestack_sandbox.emulator_client import ACCOUNT_SECRET
from tunestack_sandbox.faults import MAX_CLOCK_SKEW, build_clock_skew_message
from tunestack_sandbox.iam import Policies, Principal, PrincipalKind, parse_statements
from tunestack_sandbox.messages import ServiceError
from tunestack_sandbox.signatures import is_signed_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from tunestack_sandbox.emulator_client import EmulatorClient
    from tunestack_sandbox.iam import Statement
    from tunestack_sandbox.messages import OperationCall

_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - a message
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The caller of an operation, with the policies that apply to it."""

    principal: Principal
    account: str
    policies: Policies
    api_key_type: str | None = None
    """The type of the API key, as in `bedrock:bearerTokenType`; `None` with a signature."""


class Authenticator:
    """Identifies the callers of requests."""

    def __init__(
        self,
        account: str,
        *,
        find_credential: Callable[[str, str | None], dict[str, Any]],
        find_api_key: Callable[[str], dict[str, Any]],
        client: Callable[[str], EmulatorClient],
        now: Callable[[], datetime],
        turned: Callable[[], timedelta],
        is_strict: bool,
    ) -> None:
        """Initialize the authenticator.

        Args:
            account: The account of unknown access keys, if they are accepted.
            find_credential: Returns the owner of an access key, from the emulator.
            find_api_key: Returns the owner of a long-term API key, from the emulator.
            client: Returns the client of an account.
            now: Returns the sandbox's time.
            turned: Returns by how much the sandbox's clock was advanced.
            is_strict: Reject unknown access keys, and check signatures.
        """
        self._account = account
        self._find_credential = find_credential
        self._find_api_key = find_api_key
        self._client = client
        self._now = now
        self._turned = turned
        self._is_strict = is_strict

    def authenticate(self, call: OperationCall) -> Caller:
        """Return the caller of an operation.

        Raises:
            ServiceError: The credentials are unknown or expired, or the signature or its time is wrong.
        """
        if call.bearer_token is not None:
            return self._authenticate_api_key(call.bearer_token)
        headers = {name.lower(): text for name, text in call.request.headers.items()}
        self._check_time(headers.get("x-amz-date"))
        token = headers.get("x-amz-security-token")
        if _ACCOUNT.fullmatch(call.access_key):
            self._check_signature(call, ACCOUNT_SECRET, token)
            return _build_root(call.access_key)
        credential = self._find_credential(call.access_key, token)
        if "error" in credential:
            if credential["error"] == "ExpiredTokenException":
                raise ServiceError("ExpiredTokenException", credential["message"])
            if self._is_strict or credential["error"] != "UnrecognizedClientException":
                raise ServiceError("UnrecognizedClientException", _INVALID_TOKEN)
            return _build_root(self._account)
        self._check_signature(call, credential["secret"], token)
        if credential["kind"] == "Root":
            return _build_root(credential["account"])
        return self._build_caller(credential)

    def _authenticate_api_key(self, token: str) -> Caller:
        """Return the caller of an API key. Unknown keys may belong to a real account, so they are always rejected."""
        if token.startswith(LONG_TERM_PREFIX):
            return replace(self._authenticate_long_term_key(token), api_key_type="LONG_TERM")
        if token.startswith(SHORT_TERM_PREFIX):
            return replace(self._authenticate_short_term_key(token), api_key_type="SHORT_TERM")
        raise ServiceError("AccessDeniedException", INVALID_PREFIX_MESSAGE)

    def _authenticate_long_term_key(self, token: str) -> Caller:
        credential = self._find_api_key(token)
        if "error" in credential:
            is_expired = credential["error"] == "expired"
            message = EXPIRED_KEY_MESSAGE if is_expired else INVALID_KEY_MESSAGE
            raise ServiceError("AccessDeniedException", message)
        return self._build_caller(credential)

    def _authenticate_short_term_key(self, token: str) -> Caller:
        key = parse_short_term_key(token)
        if key is None:
            raise ServiceError("AccessDeniedException", INVALID_KEY_MESSAGE)
        is_root = bool(_ACCOUNT.fullmatch(key.access_key))
        credential = {} if is_root else self._find_credential(key.access_key, key.session_token)
        if credential.get("error") == "ExpiredTokenException":
            raise ServiceError("AccessDeniedException", EXPIRED_KEY_MESSAGE)
        if "error" in credential or not key.is_signed_with(
            ACCOUNT_SECRET if is_root else credential["secret"]
        ):
            raise ServiceError("AccessDeniedException", INVALID_KEY_MESSAGE)
        # The client's clock is not the sandbox's if the sandbox simulates a date.
        if datetime.now(UTC) + self._turned() >= key.expires:
            raise ServiceError("AccessDeniedException", EXPIRED_KEY_MESSAGE)
        if is_root or credential["kind"] == "Root":
            return _build_root(key.access_key if is_root else credential["account"])
        return self._build_caller(credential)

    def _check_time(self, signed: str | None) -> None:
        if signed is None:
            return
        try:
            time = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            message = f"Invalid date {signed}."
            raise ServiceError("InvalidSignatureException", message) from None
        # The real time, or the sandbox's: some clients use the `Date` of the last response.
        if min(abs(now - time) for now in (datetime.now(UTC), self._now())) > MAX_CLOCK_SKEW:
            raise ServiceError("InvalidSignatureException", build_clock_skew_message(time))

    def _check_signature(self, call: OperationCall, secret: str, token: str | None) -> None:
        if self._is_strict and not is_signed_with(call, secret, token):
            raise ServiceError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. "
                "Consult the service documentation for details.",
            )

    def _build_caller(self, credential: Mapping[str, Any]) -> Caller:
        account = credential["account"]
        client = self._client(account)
        session_policy = _read_session_policy(client, credential["session_policies"])
        if credential["kind"] == "AssumedRole":
            kind, name = "role", credential["arn"].split("/")[1]
            principal_kind = PrincipalKind.SESSION
        else:
            kind, name, principal_kind = "user", credential["name"], PrincipalKind.USER
        entity = client.read_entity(kind, name)
        if entity is None:
            raise ServiceError("UnrecognizedClientException", _INVALID_TOKEN)
        keys = _build_condition_keys(credential, entity)
        if principal_kind is PrincipalKind.USER:
            keys["aws:username"] = [name]
        principal = Principal(
            kind=principal_kind,
            arn=credential["arn"],
            account=account,
            role=entity["Arn"] if kind == "role" else None,
            condition_keys=keys,
        )
        policies = read_entity_policies(client, kind, name, entity, session_policy=session_policy)
        return Caller(principal=principal, account=account, policies=policies)


def _build_condition_keys(
    credential: Mapping[str, Any], entity: Mapping[str, Any]
) -> dict[str, list[str]]:
    tags = {tag["Key"]: tag["Value"] for tag in [*entity.get("Tags", []), *credential["tags"]]}
    keys = {f"aws:PrincipalTag/{key}": [value] for key, value in tags.items()}
    keys["aws:userid"] = [credential["id"]]
    keys["aws:PrincipalType"] = [credential["kind"]]
    if credential["issued"] is not None:
        issued = datetime.fromtimestamp(credential["issued"], UTC)
        keys["aws:TokenIssueTime"] = [f"{issued:%Y-%m-%dT%H:%M:%SZ}"]
        keys["aws:MultiFactorAuthPresent"] = ["false"]
    return keys


def _read_session_policy(
    client: EmulatorClient, policies: Mapping[str, Any] | None
) -> list[Statement] | None:
    if not policies:
        return None
    documents = [policies["Policy"]] if policies.get("Policy") else []
    documents += [client.read_managed_policy(arn) for arn in policies.get("PolicyArns", [])]
    return [statement for document in documents for statement in parse_statements(document)]


def read_entity_policies(
    client: EmulatorClient,
    kind: str,
    name: str,
    entity: Mapping[str, Any],
    *,
    session_policy: list[Statement] | None = None,
) -> Policies:
    """Read the policies that apply to a `user` or `role`."""
    boundary = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Policies(
        identity=[
            statement
            for document in client.read_identity_policies(kind, name)
            for statement in parse_statements(document)
        ],
        boundary=None
        if boundary is None
        else parse_statements(client.read_managed_policy(boundary)),
        session=session_policy,
    )


def _build_root(account: str) -> Caller:
    principal = Principal(
        kind=PrincipalKind.ROOT,
        arn=f"arn:aws:iam::{account}:root",
        account=account,
        condition_keys={"aws:userid": [account], "aws:PrincipalType": ["Account"]},
    )
    return Caller(principal=principal, account=account, policies=Policies())
