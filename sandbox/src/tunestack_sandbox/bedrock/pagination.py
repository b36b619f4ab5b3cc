"""Pages of lists."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tunestack_sandbox.bedrock.state import Endpoint, Job, Model

_PAGE_SIZE = 100

Resource = TypeVar("Resource", "Job", "Model", "Endpoint")


def build_page(
    resources: Iterable[Resource],
    params: Mapping[str, Any],
    *,
    name: str,
    build_row: Callable[[Resource], dict[str, Any]],
) -> dict[str, Any]:
    """Filter resources by creation time, sort them, and return the requested page.

    A page begins after the last resource of the page before, so that resources that are created or deleted in between
    do not shift it.

    Args:
        resources: The resources that match all other filters.
        params: The parameters of the List operation.
        name: The member of the response that has the rows.
        build_row: Builds the row of a resource.

    Raises:
        ServiceError: The `nextToken` is invalid.
    """
    after = params.get("creationTimeAfter") or params.get("createdAfter")
    before = params.get("creationTimeBefore") or params.get("createdBefore")
    descending = params.get("sortOrder") != "Ascending"
    last = _read_position(params["nextToken"]) if "nextToken" in params else None
    matching = []
    for resource in resources:
        created = resource.created
        position = (created.isoformat(), resource.arn)
        # Responses have milliseconds, so clients filter by them.
        shown = created.replace(microsecond=created.microsecond // 1000 * 1000)
        if (
            (after is None or shown >= after)
            and (before is None or shown <= before)
            and (last is None or (position < last if descending else position > last))
        ):
            matching.append((position, resource))
    matching.sort(key=lambda pair: pair[0], reverse=descending)
    size = params.get("maxResults", _PAGE_SIZE)
    response: dict[str, Any] = {name: [build_row(resource) for _, resource in matching[:size]]}
    if size < len(matching):
        token = json.dumps(matching[size - 1][0]).encode()
        response["nextToken"] = base64.urlsafe_b64encode(token).decode()
    return response


def _read_position(token: str) -> tuple[str, str]:
    try:
        created, arn = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise ServiceError("ValidationException", "The provided nextToken is invalid.") from None
    return str(created), str(arn)
