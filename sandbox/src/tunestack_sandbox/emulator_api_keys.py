"""IAM's service-specific credentials for Bedrock's long-term API keys, which MiniStack does not have.

Source: IAM API reference, CreateServiceSpecificCredential, and botocore's model of it.
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bearer_tokens import LONG_TERM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVICE = "bedrock.amazonaws.com"
_MAX_CREDENTIALS = 2
"""The quota of a user's credentials for a service."""
_DAY_SECONDS = 86_400.0
_OPERATIONS = ("Create", "List", "Update", "Reset", "Delete")

_credentials: dict[str, dict[str, Any]] = {}
"""The credentials by id. Ids are unique across accounts."""


def install() -> None:
    """Add the operations to MiniStack's IAM."""
    from ministack.services import iam  # noqa: PLC0415 - reads the environment on import

    for verb in _OPERATIONS:
        suffix = "ServiceSpecificCredentials" if verb == "List" else "ServiceSpecificCredential"
        iam._IAM_HANDLERS[verb + suffix] = globals()[f"_{verb.lower()}"]  # noqa: SLF001


def reset() -> None:
    """Delete all credentials."""
    _credentials.clear()


def find_api_key(token: str) -> dict[str, Any]:
    """Return the principal of a long-term key, or an `error`: `invalid` or `expired`."""
    from ministack.core.responses import set_request_account_id  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    for credential in _credentials.values():
        if not secrets.compare_digest(credential["secret"].encode(), token.encode()):
            continue
        set_request_account_id(credential["account"])
        user = iam._users.get(credential["user"])  # noqa: SLF001
        if user is None or credential["status"] != "Active":
            break
        if credential["expires"] is not None and time.time() >= credential["expires"]:
            return {"error": "expired"}
        return {
            "account": credential["account"],
            "arn": user["Arn"],
            "id": user["UserId"],
            "kind": "User",
            "name": credential["user"],
            "issued": None,
            "tags": [],
            "session_policies": None,
        }
    return {"error": "invalid"}


def _create(params: Mapping[str, Any]) -> Any:
    from ministack.core.responses import get_account_id  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    user, service = iam._p(params, "UserName"), iam._p(params, "ServiceName")  # noqa: SLF001
    if user not in iam._users:  # noqa: SLF001
        return _build_not_found(f"The user with name {user} cannot be found.")
    if service != _SERVICE:
        message = f"The sandbox supports credentials for {_SERVICE} only, not for {service}."
        return iam._error(404, "NotSupportedService", message)  # noqa: SLF001
    if len(_list_of_user(user)) >= _MAX_CREDENTIALS:
        message = f"Cannot exceed quota for ServiceSpecificCredentialsPerUser: {_MAX_CREDENTIALS}"
        return iam._error(409, "LimitExceeded", message)  # noqa: SLF001
    days = iam._p(params, "CredentialAgeDays")  # noqa: SLF001
    now = time.time()
    credential = {
        "id": f"ACCA{secrets.token_hex(8).upper()}",
        "user": user,
        "account": get_account_id(),
        "created": now,
        "expires": now + int(days) * _DAY_SECONDS if days else None,
        "status": "Active",
        "secret": _create_secret(get_account_id()),
    }
    _credentials[credential["id"]] = credential
    return _build_response("Create", credential)


def _list(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    credentials = _list_of_user(iam._p(params, "UserName"))  # noqa: SLF001
    if iam._p(params, "ServiceName", _SERVICE) != _SERVICE:  # noqa: SLF001
        credentials = []
    rows = "".join(f"<member>{_build_fields(row)}</member>" for row in credentials)
    return iam._xml(  # noqa: SLF001
        200,
        "ListServiceSpecificCredentialsResponse",
        "<ListServiceSpecificCredentialsResult>"
        f"<ServiceSpecificCredentials>{rows}</ServiceSpecificCredentials>"
        "<IsTruncated>false</IsTruncated></ListServiceSpecificCredentialsResult>",
    )


def _update(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    credential = _find(params)
    if credential is None:
        return _build_not_found("The service-specific credential cannot be found.")
    credential["status"] = iam._p(params, "Status")  # noqa: SLF001
    return iam._xml(200, "UpdateServiceSpecificCredentialResponse", "")  # noqa: SLF001


def _reset(params: Mapping[str, Any]) -> Any:
    credential = _find(params)
    if credential is None:
        return _build_not_found("The service-specific credential cannot be found.")
    credential["secret"] = _create_secret(credential["account"])
    return _build_response("Reset", credential)


def _delete(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    credential = _find(params)
    if credential is None:
        return _build_not_found("The service-specific credential cannot be found.")
    del _credentials[credential["id"]]
    return iam._xml(200, "DeleteServiceSpecificCredentialResponse", "")  # noqa: SLF001


def _list_of_user(user: str) -> list[dict[str, Any]]:
    from ministack.core.responses import get_account_id  # noqa: PLC0415

    return [
        credential
        for credential in _credentials.values()
        if credential["account"] == get_account_id() and user in ("", credential["user"])
    ]


def _find(params: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.services import iam  # noqa: PLC0415

    credential_id = iam._p(params, "ServiceSpecificCredentialId")  # noqa: SLF001
    rows = _list_of_user(iam._p(params, "UserName"))  # noqa: SLF001
    return next((row for row in rows if row["id"] == credential_id), None)


def _create_secret(account: str) -> str:
    text = f"BedrockAPIKey-{secrets.token_hex(2)}-at-{account}:{secrets.token_urlsafe(32)}"
    return LONG_TERM_PREFIX + base64.b64encode(text.encode()).decode()


def _build_response(verb: str, credential: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    name = f"{verb}ServiceSpecificCredential"
    fields = _build_fields(credential, with_secret=True)
    content = f"<ServiceSpecificCredential>{fields}</ServiceSpecificCredential>"
    return iam._xml(200, f"{name}Response", f"<{name}Result>{content}</{name}Result>")  # noqa: SLF001


def _build_fields(credential: Mapping[str, Any], *, with_secret: bool = False) -> str:
    fields = {
        "CreateDate": _format_time(credential["created"]),
        "ExpirationDate": credential["expires"] and _format_time(credential["expires"]),
        "ServiceName": _SERVICE,
        "ServiceCredentialAlias": f"{credential['user']}+1-at-{credential['account']}",
        "ServiceCredentialSecret": credential["secret"] if with_secret else None,
        "ServiceSpecificCredentialId": credential["id"],
        "UserName": credential["user"],
        "Status": credential["status"],
    }
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)


def _format_time(timestamp: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(timestamp))


def _build_not_found(message: str) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    return iam._error(404, "NoSuchEntity", message)  # noqa: SLF001
