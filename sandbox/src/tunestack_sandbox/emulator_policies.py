"""The users, roles and policies of MiniStack's IAM, read in its process: one command instead of several requests to its API.

The sandbox needs them for each request to Bedrock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS = ("Arn", "RoleName", "RoleId", "AssumeRolePolicyDocument", "Tags")
Document = dict[str, Any] | str
"""A policy document, or its JSON."""


def read_entity(account: str, kind: str, name: str) -> dict[str, Any] | None:
    """Return a `user` or `role` in the form of the API; `None` if it does not exist."""
    from ministack.core.responses import set_request_account_id  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    set_request_account_id(account)
    record = getattr(iam, f"_{kind}s").get(name)
    if record is None:
        return None
    entity = {field: record[field] for field in _FIELDS if field in record}
    if boundary := record.get("PermissionsBoundary"):
        entity["PermissionsBoundary"] = {"PermissionsBoundaryArn": boundary}
    return entity


def read_identity_policies(account: str, kind: str, name: str) -> list[tuple[str, Document | None]]:
    """Return the names or ARNs and the documents of all inline and attached policies of a `role`, `user` or `group`.

    Those of a user include the policies of its groups. The document of an unknown policy is `None`.
    """
    from ministack.core.responses import set_request_account_id  # noqa: PLC0415

    set_request_account_id(account)
    return list(_list_policies(account, kind, name))


def read_managed_policy(account: str, arn: str) -> Document | None:
    """Return the document of a managed policy in its default version; `None` if it does not exist."""
    from ministack.core import iam_evaluator  # noqa: PLC0415

    document: Document | None = iam_evaluator._resolve_managed_policy_document(arn, account)  # noqa: SLF001
    return document


def _list_policies(account: str, kind: str, name: str) -> Iterator[tuple[str, Document | None]]:
    from ministack.services import iam  # noqa: PLC0415

    entity = getattr(iam, f"_{kind}s").get(name) or {}
    if kind == "role":
        inline = entity.get("InlinePolicies")
    else:
        inline = getattr(iam, f"_{kind}_inline_policies").get(name)
    yield from list((inline or {}).items())
    for arn in list(entity.get("AttachedPolicies", ())):
        yield arn, read_managed_policy(account, arn)
    if kind == "user":
        for group, members in list(iam._groups.items()):  # noqa: SLF001
            if name in members.get("Users", ()):
                yield from _list_policies(account, "group", group)
