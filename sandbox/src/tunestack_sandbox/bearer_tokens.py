"""Bedrock API keys: bearer tokens that the SDKs read from `AWS_BEARER_TOKEN_BEDROCK` and send instead of a signature.

A long-term key belongs to an IAM user (IAM's CreateServiceSpecificCredential). A short-term key is a presigned request for
CallWithBearerToken that the client creates: it is signed with the credentials that it represents.

Source: Bedrock user guide, api-keys-reference and api-keys-how (read 2026-11-28); aws-bedrock-token-generator 1.1.0 for the
format of short-term keys. Error messages: ai4s-research/open-science#53, farion1231/cc-switch#1679 (both read in 2026), and
BerriAI/litellm's tests for that of an expired key.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

LONG_TERM_PREFIX = "ABSK"
SHORT_TERM_PREFIX = "bedrock-api-key-"

INVALID_PREFIX_MESSAGE = "Invalid API Key format: Must start with pre-defined prefix"
INVALID_KEY_MESSAGE = "Authentication failed: Please make sure your API Key is valid."
EXPIRED_KEY_MESSAGE = "Bearer Token has expired"

_HOST = "bedrock.amazonaws.com"
_MAX_LIFETIME = timedelta(hours=12)
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"


def find_bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token of a request, if it has one."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortTermKey:
    """The content of a short-term key. `is_signed_with` checks its signature."""

    access_key: str
    session_token: str | None
    region: str
    issued: datetime
    lifetime: timedelta
    _query: tuple[tuple[str, str], ...]
    _signature: str

    @property
    def expires(self) -> datetime:
        """The time at which the key expires, at most 12 hours after it was issued."""
        return self.issued + min(self.lifetime, _MAX_LIFETIME)

    def is_signed_with(self, secret: str) -> bool:
        """Return whether the key was signed with the secret of its access key."""
        auth = SigV4QueryAuth(
            Credentials(self.access_key, secret, self.session_token),
            "bedrock",
            self.region,
            expires=int(self.lifetime.total_seconds()),
        )
        request = AWSRequest(
            "POST", f"https://{_HOST}/?{urlencode(self._query)}", headers={"host": _HOST}
        )
        request.context["timestamp"] = self.issued.strftime(_DATE_FORMAT)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return bool(auth.signature(text, request) == self._signature)


def parse_short_term_key(token: str) -> ShortTermKey | None:
    """Parse a short-term key; return `None` if it is malformed."""
    try:
        url = base64.b64decode(token.removeprefix(SHORT_TERM_PREFIX), validate=True).decode()
        fields = {name: values[0] for name, values in parse_qs(url.partition("?")[2]).items()}
        access_key, _, region, _, _ = fields["X-Amz-Credential"].split("/")
        return ShortTermKey(
            access_key=access_key,
            session_token=fields.get("X-Amz-Security-Token"),
            region=region,
            issued=datetime.strptime(fields["X-Amz-Date"], _DATE_FORMAT).replace(tzinfo=UTC),
            lifetime=timedelta(seconds=int(fields["X-Amz-Expires"])),
            _query=tuple(
                (name, value)
                for name, value in fields.items()
                if name not in ("X-Amz-Signature", "Version")
            ),
            _signature=fields["X-Amz-Signature"],
        )
    except (KeyError, OverflowError, ValueError):
        return None
