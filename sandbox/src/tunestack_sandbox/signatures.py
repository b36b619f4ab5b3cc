"""Verification of AWS Signature Version 4."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from tunestack_sandbox.messages import OperationCall

_SIGNATURE = re.compile(
    r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")


class _Signer(SigV4Auth):
    """Signs the headers that the client signed, and no others."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        """Return all headers of the request. botocore would leave some out, and add `host`."""
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers


def is_signed_with(call: OperationCall, secret: str, token: str | None) -> bool:
    """Return whether a request has the signature of a secret access key and session token."""
    authorization = call.request.headers.get("Authorization", "")
    signature, scope = _SIGNATURE.search(authorization), _SCOPE.search(authorization)
    if signature is None or scope is None:
        return False
    headers = {name.lower(): text for name, text in call.request.headers.items()}
    signer = _Signer(Credentials(call.access_key, secret, token), scope["service"], call.region)
    request = AWSRequest(
        method=call.request.method,
        url=f"https://{headers.get('host', '')}{call.request.target}",
        headers={name: headers.get(name, "") for name in signature["headers"].split(";")},
        data=call.request.body,
    )
    request.context["timestamp"] = headers.get("x-amz-date", "")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    expected: str = signer.signature(text, request)
    return expected == signature["signature"]
