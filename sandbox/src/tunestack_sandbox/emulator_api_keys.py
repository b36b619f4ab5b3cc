"""Service-specific credentials of IAM, as far as Bedrock's long-term API keys need them; MiniStack has none.

Source: IAM API reference, CreateServiceSpecificCredential, and botocore's model of it.
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bearer import LONG_TERM_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVICE = "bedrock.amazonaws.com"
_MOST = 2
"""How many a user may have for a service."""
_DAY = 86_400.0
_OPERATIONS = ("Create", "List", "Update", "Reset", "Delete")

_credentials: dict[str, dict[str, Any]] = {}
"""By their ids, which are unique in all accounts."""


def install() -> None:
    """Add the operations to MiniStack's IAM."""
    from ministack.services import iam  # noqa: PLC0415 - reads the environment on import

    for verb in _OPERATIONS:
        suffix = "ServiceSpecificCredentials" if verb == "List" else "ServiceSpecificCredential"
        iam._IAM_HANDLERS[verb + suffix] = globals()[f"_{verb.lower()}"]  # noqa: SLF001


def forget() -> None:
    """Delete all credentials."""
    _credentials.clear()


def api_key(token: str) -> dict[str, Any]:
    """Return the principal of a long-term key, or the `error`: `invalid` or `expired`."""
    from ministack.core.responses import set_request_account_id  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    for found in _credentials.values():
        if not secrets.compare_digest(found["secret"].encode(), token.encode()):
            continue
        set_request_account_id(found["account"])
        user = iam._users.get(found["user"])  # noqa: SLF001
        if user is None or found["status"] != "Active":
            break
        if found["expires"] is not None and time.time() >= found["expires"]:
            return {"error": "expired"}
        return {
            "account": found["account"],
            "arn": user["Arn"],
            "id": user["UserId"],
            "kind": "User",
            "name": found["user"],
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
        return _no_such_entity(f"The user with name {user} cannot be found.")
    if service != _SERVICE:
        message = f"The sandbox has credentials for {_SERVICE} only, not for {service}."
        return iam._error(404, "NotSupportedService", message)  # noqa: SLF001
    if len(_of(user)) >= _MOST:
        message = f"Cannot exceed quota for ServiceSpecificCredentialsPerUser: {_MOST}"
        return iam._error(409, "LimitExceeded", message)  # noqa: SLF001
    days = iam._p(params, "CredentialAgeDays")  # noqa: SLF001
    now = time.time()
    found = {
        "id": f"ACCA{secrets.token_hex(8).upper()}",
        "user": user,
        "account": get_account_id(),
        "created": now,
        "expires": now + int(days) * _DAY if days else None,
        "status": "Active",
        "secret": _new_secret(get_account_id()),
    }
    _credentials[found["id"]] = found
    return _answer("Create", found)


def _list(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    found = _of(iam._p(params, "UserName"))  # noqa: SLF001
    if iam._p(params, "ServiceName", _SERVICE) != _SERVICE:  # noqa: SLF001
        found = []
    rows = "".join(f"<member>{_fields(row, secret=False)}</member>" for row in found)
    return iam._xml(  # noqa: SLF001
        200,
        "ListServiceSpecificCredentialsResponse",
        "<ListServiceSpecificCredentialsResult>"
        f"<ServiceSpecificCredentials>{rows}</ServiceSpecificCredentials>"
        "<IsTruncated>false</IsTruncated></ListServiceSpecificCredentialsResult>",
    )


def _update(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    found = _one(params)
    if found is None:
        return _no_such_entity("The service-specific credential cannot be found.")
    found["status"] = iam._p(params, "Status")  # noqa: SLF001
    return iam._xml(200, "UpdateServiceSpecificCredentialResponse", "")  # noqa: SLF001


def _reset(params: Mapping[str, Any]) -> Any:
    found = _one(params)
    if found is None:
        return _no_such_entity("The service-specific credential cannot be found.")
    found["secret"] = _new_secret(found["account"])
    return _answer("Reset", found)


def _delete(params: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    found = _one(params)
    if found is None:
        return _no_such_entity("The service-specific credential cannot be found.")
    del _credentials[found["id"]]
    return iam._xml(200, "DeleteServiceSpecificCredentialResponse", "")  # noqa: SLF001


def _of(user: str) -> list[dict[str, Any]]:
    from ministack.core.responses import get_account_id  # noqa: PLC0415

    return [
        found
        for found in _credentials.values()
        if found["account"] == get_account_id() and user in ("", found["user"])
    ]


def _one(params: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.services import iam  # noqa: PLC0415

    wanted = iam._p(params, "ServiceSpecificCredentialId")  # noqa: SLF001
    rows = _of(iam._p(params, "UserName"))  # noqa: SLF001
    return next((row for row in rows if row["id"] == wanted), None)


def _new_secret(account: str) -> str:
    text = f"BedrockAPIKey-{secrets.token_hex(2)}-at-{account}:{secrets.token_urlsafe(32)}"
    return LONG_TERM_PREFIX + base64.b64encode(text.encode()).decode()


def _answer(verb: str, found: Mapping[str, Any]) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    name = f"{verb}ServiceSpecificCredential"
    content = (
        f"<ServiceSpecificCredential>{_fields(found, secret=True)}</ServiceSpecificCredential>"
    )
    return iam._xml(200, f"{name}Response", f"<{name}Result>{content}</{name}Result>")  # noqa: SLF001


def _fields(found: Mapping[str, Any], *, secret: bool) -> str:
    fields = {
        "CreateDate": _written(found["created"]),
        "ExpirationDate": found["expires"] and _written(found["expires"]),
        "ServiceName": _SERVICE,
        "ServiceCredentialAlias": f"{found['user']}+1-at-{found['account']}",
        "ServiceCredentialSecret": found["secret"] if secret else None,
        "ServiceSpecificCredentialId": found["id"],
        "UserName": found["user"],
        "Status": found["status"],
    }
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)


def _written(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _no_such_entity(message: str) -> Any:
    from ministack.services import iam  # noqa: PLC0415

    return iam._error(404, "NoSuchEntity", message)  # noqa: SLF001
