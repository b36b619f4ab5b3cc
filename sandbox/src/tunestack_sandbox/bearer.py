"""Bedrock API keys: bearer tokens that the SDKs read from `AWS_BEARER_TOKEN_BEDROCK` and send instead of a signature.

A long-term key belongs to an IAM user (IAM's CreateServiceSpecificCredential). A short-term key is a presigned request for
CallWithBearerToken, made by the client itself: its signature names the credentials that it stands for.

Source: Bedrock user guide, api-keys-reference and api-keys-how (read 2026-11-28); aws-bedrock-token-generator 1.1.0 for the
format of short-term keys. Texts of errors: ai4s-research/open-science#53, farion1231/cc-switch#1679 (both seen in 2026), and
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

NO_PREFIX = "Invalid API Key format: Must start with pre-defined prefix"
INVALID = "Authentication failed: Please make sure your API Key is valid."
EXPIRED = "Bearer Token has expired"

_HOST = "bedrock.amazonaws.com"
_LONGEST = timedelta(hours=12)


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token of a request, `None` if it has none."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortTermKey:
    """What a short-term key says; `is_signed_with` checks whether it is true."""

    access_key: str
    session_token: str | None
    region: str
    issued: datetime
    lifetime: timedelta
    _query: tuple[tuple[str, str], ...]
    _signature: str

    @property
    def expires(self) -> datetime:
        """The time at which the key expires, 12 hours after it was issued at the latest."""
        return self.issued + min(self.lifetime, _LONGEST)

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
        request.context["timestamp"] = self.issued.strftime("%Y%m%dT%H%M%SZ")
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return bool(auth.signature(text, request) == self._signature)


def short_term_key(token: str) -> ShortTermKey | None:
    """Read a short-term key; return `None` if it is malformed."""
    try:
        url = base64.b64decode(token.removeprefix(SHORT_TERM_PREFIX), validate=True).decode()
        fields = {name: values[0] for name, values in parse_qs(url.partition("?")[2]).items()}
        access_key, _, region, _, _ = fields["X-Amz-Credential"].split("/")
        return ShortTermKey(
            access_key=access_key,
            session_token=fields.get("X-Amz-Security-Token"),
            region=region,
            issued=datetime.strptime(fields["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
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
