"""Who calls, by the credentials that a request is signed with, and which policies count for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from tunestack_sandbox import bearer
from tunestack_sandbox.aws import SECRET
from tunestack_sandbox.faults import SKEW, skewed
from tunestack_sandbox.iam import Policies, Principal, PrincipalKind, statements
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from tunestack_sandbox.aws import Aws
    from tunestack_sandbox.iam import Statement
    from tunestack_sandbox.wire import Call, Request

_UNKNOWN = "The security token included in the request is invalid."
_ACCOUNT = re.compile(r"\d{12}")
_SIGNED = re.compile(r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})")
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    principal: Principal
    account: str
    policies: Policies
    bearer: str | None = None
    """The type of the API key that they use, as `bedrock:bearerTokenType` has it; `None` with a signature."""


class Callers:
    """Knows callers by their access keys."""

    def __init__(
        self,
        account: str,
        *,
        credential: Callable[[str, str | None], dict[str, Any]],
        api_key: Callable[[str], dict[str, Any]],
        aws: Callable[[str], Aws],
        now: Callable[[], datetime],
        turned: Callable[[], timedelta],
        strict: bool,
    ) -> None:
        """Take how to find out.

        Args:
            account: of access keys that nobody knows, where they are let in.
            credential: asks the emulator whose an access key is.
            api_key: asks the emulator whose a long-term API key is.
            aws: a look at an account of the emulator.
            now: tells the sandbox's time.
            turned: tells how far the sandbox's clock was turned.
            strict: refuse unknown access keys, and check signatures.
        """
        self._account = account
        self._credential = credential
        self._api_key = api_key
        self._aws = aws
        self._now = now
        self._turned = turned
        self._strict = strict

    def identify(self, call: Call) -> Caller:
        """Tell who calls.

        Raises:
            Fault: the credentials are unknown or expired, or the signature is wrong or of another time.
        """
        if call.bearer is not None:
            return self._by_api_key(call.bearer)
        headers = {name.lower(): text for name, text in call.request.headers.items()}
        self._check_time(headers.get("x-amz-date"))
        token = headers.get("x-amz-security-token")
        if _ACCOUNT.fullmatch(call.access_key):
            self._check_signature(call, SECRET, token)
            return _root(call.access_key)
        found = self._credential(call.access_key, token)
        if "error" in found:
            if found["error"] == "ExpiredTokenException":
                raise Fault("ExpiredTokenException", found["message"])
            if self._strict or found["error"] != "UnrecognizedClientException":
                raise Fault("UnrecognizedClientException", _UNKNOWN)
            return _root(self._account)
        self._check_signature(call, found["secret"], token)
        if found["kind"] == "Root":
            return _root(found["account"])
        return self._known(found)

    def _by_api_key(self, token: str) -> Caller:
        """Return the caller of an API key: unknown ones may belong to a real account, so they are always refused."""
        if token.startswith(bearer.LONG_TERM_PREFIX):
            found = self._api_key(token)
            if "error" in found:
                expired = found["error"] == "expired"
                raise Fault("AccessDeniedException", bearer.EXPIRED if expired else bearer.INVALID)
            return replace(self._known(found), bearer="LONG_TERM")
        if not token.startswith(bearer.SHORT_TERM_PREFIX):
            raise Fault("AccessDeniedException", bearer.NO_PREFIX)
        key = bearer.short_term_key(token)
        if key is None:
            raise Fault("AccessDeniedException", bearer.INVALID)
        root = _ACCOUNT.fullmatch(key.access_key)
        found = {} if root else self._credential(key.access_key, key.session_token)
        if found.get("error") == "ExpiredTokenException":
            raise Fault("AccessDeniedException", bearer.EXPIRED)
        if "error" in found or not key.is_signed_with(SECRET if root else found["secret"]):
            raise Fault("AccessDeniedException", bearer.INVALID)
        # The client issued it by its own clock, which is not the sandbox's on another day.
        if datetime.now(UTC) + self._turned() >= key.expires:
            raise Fault("AccessDeniedException", bearer.EXPIRED)
        if root or found["kind"] == "Root":
            caller = _root(key.access_key if root else found["account"])
        else:
            caller = self._known(found)
        return replace(caller, bearer="SHORT_TERM")

    def _check_time(self, signed: str | None) -> None:
        if signed is None:
            return
        try:
            when = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise Fault("InvalidSignatureException", f"Date {signed} is no date.") from None
        # The real time, or the sandbox's: some clients go by what the last answer said.
        if min(abs(time - when) for time in (datetime.now(UTC), self._now())) > SKEW:
            raise Fault("InvalidSignatureException", skewed(when))

    def _check_signature(self, call: Call, secret: str, token: str | None) -> None:
        if self._strict and not _is_signed(call, secret, token):
            raise Fault(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. "
                "Consult the service documentation for details.",
            )

    def _known(self, found: Mapping[str, Any]) -> Caller:
        account = found["account"]
        aws = self._aws(account)
        session = self._session(aws, found["session_policies"])
        if found["kind"] == "AssumedRole":
            kind, name, principal_kind = "role", found["arn"].split("/")[1], PrincipalKind.SESSION
        else:
            kind, name, principal_kind = "user", found["name"], PrincipalKind.USER
        entity = aws.entity(kind, name)
        if entity is None:
            raise Fault("UnrecognizedClientException", _UNKNOWN)
        role = entity["Arn"] if kind == "role" else None
        tags = {tag["Key"]: tag["Value"] for tag in [*entity.get("Tags", []), *found["tags"]]}
        keys = {f"aws:PrincipalTag/{key}": [value] for key, value in tags.items()}
        keys["aws:userid"] = [found["id"]]
        keys["aws:PrincipalType"] = [found["kind"]]
        if principal_kind is PrincipalKind.USER:
            keys["aws:username"] = [name]
        if found["issued"] is not None:
            issued = datetime.fromtimestamp(found["issued"], UTC)
            keys["aws:TokenIssueTime"] = [f"{issued:%Y-%m-%dT%H:%M:%SZ}"]
            keys["aws:MultiFactorAuthPresent"] = ["false"]
        return Caller(
            principal=Principal(
                kind=principal_kind, arn=found["arn"], account=account, role=role, keys=keys
            ),
            account=account,
            policies=entity_policies(aws, kind, name, entity, session=session),
        )

    @staticmethod
    def _session(aws: Aws, passed: Mapping[str, Any] | None) -> list[Statement] | None:
        if not passed:
            return None
        documents = [passed["Policy"]] if passed.get("Policy") else []
        documents += [aws.managed_policy(arn) for arn in passed.get("PolicyArns", [])]
        return [statement for document in documents for statement in statements(document)]


def entity_policies(
    aws: Aws,
    kind: str,
    name: str,
    entity: Mapping[str, Any],
    *,
    session: list[Statement] | None = None,
) -> Policies:
    """Read the policies that count for a `user` or `role`."""
    boundary = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Policies(
        identity=[
            statement
            for document in aws.identity_policies(kind, name)
            for statement in statements(document)
        ],
        boundary=None if boundary is None else statements(aws.managed_policy(boundary)),
        session=session,
    )


def _root(account: str) -> Caller:
    arn = f"arn:aws:iam::{account}:root"
    keys = {"aws:userid": [account], "aws:PrincipalType": ["Account"]}
    principal = Principal(kind=PrincipalKind.ROOT, arn=arn, account=account, keys=keys)
    return Caller(principal=principal, account=account, policies=Policies())


class _SignAgain(SigV4Auth):
    """Signs the headers that the client signed, no others."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        """Return all headers of the request: botocore leaves out some, and adds `host`."""
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers


def _is_signed(call: Call, secret: str, token: str | None) -> bool:
    """Sign the request again, and compare."""
    request: Request = call.request
    written = request.headers.get("Authorization", "")
    signed, scope = _SIGNED.search(written), _SCOPE.search(written)
    if signed is None or scope is None:
        return False
    headers = {name.lower(): text for name, text in request.headers.items()}
    auth = _SignAgain(Credentials(call.access_key, secret, token), scope["service"], call.region)
    again = AWSRequest(
        method=request.method,
        url=f"https://{headers.get('host', '')}{request.target}",
        headers={name: headers.get(name, "") for name in signed["headers"].split(";")},
        data=request.body,
    )
    again.context["timestamp"] = headers.get("x-amz-date", "")
    text = auth.string_to_sign(again, auth.canonical_request(again))
    signature: str = auth.signature(text, again)
    return signature == signed["signature"]
