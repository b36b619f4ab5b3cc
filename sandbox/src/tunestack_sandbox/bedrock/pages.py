"""Lists, a page at a time."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, TypeVar

from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tunestack_sandbox.bedrock.state import Endpoint, Job, Model

_PAGE = 100

Entry = TypeVar("Entry", "Job", "Model", "Endpoint")


def page(
    entries: Iterable[Entry],
    params: Mapping[str, Any],
    *,
    name: str,
    row: Callable[[Entry], dict[str, Any]],
) -> dict[str, Any]:
    """Filter by creation time, sort, and cut out the page that is asked for.

    A page begins after the last entry of the one before: what is made or deleted in between moves nothing.

    Args:
        entries: everything that is wanted but for its time.
        params: of the List operation.
        name: the member of the answer that holds the rows.
        row: writes one.
    """
    after = params.get("creationTimeAfter") or params.get("createdAfter")
    before = params.get("creationTimeBefore") or params.get("createdBefore")
    descending = params.get("sortOrder") != "Ascending"
    last = _position(params["nextToken"]) if "nextToken" in params else None
    kept = []
    for entry in entries:
        position = (entry.created.isoformat(), entry.arn)
        # As it is shown, to the millisecond: whoever asks goes by that.
        shown = entry.created.replace(microsecond=entry.created.microsecond // 1000 * 1000)
        if (
            (after is None or shown >= after)
            and (before is None or shown <= before)
            and (last is None or (position < last if descending else position > last))
        ):
            kept.append((position, entry))
    kept.sort(key=lambda pair: pair[0], reverse=descending)
    size = params.get("maxResults", _PAGE)
    answer: dict[str, Any] = {name: [row(entry) for _, entry in kept[:size]]}
    if size < len(kept):
        token = json.dumps(kept[size - 1][0]).encode()
        answer["nextToken"] = base64.urlsafe_b64encode(token).decode()
    return answer


def _position(token: str) -> tuple[str, str]:
    try:
        created, arn = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise Fault("ValidationException", "The provided nextToken is invalid.") from None
    return str(created), str(arn)
