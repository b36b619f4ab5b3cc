"""Lists, a page at a time."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PAGE = 100


def page(
    rows: Iterable[dict[str, Any]], params: Mapping[str, Any], *, name: str, created: str
) -> dict[str, Any]:
    """Filter by creation time, sort, and cut out the page that is asked for.

    Args:
        rows: everything that there is.
        params: of the List operation.
        name: the member of the answer that holds the rows.
        created: the member of a row that holds its creation time.
    """
    after = params.get("creationTimeAfter") or params.get("createdAfter")
    before = params.get("creationTimeBefore") or params.get("createdBefore")
    kept = [
        row
        for row in rows
        if (after is None or row[created] >= after) and (before is None or row[created] <= before)
    ]
    kept.sort(key=lambda row: row[created], reverse=params.get("sortOrder") != "Ascending")
    start = _position(params["nextToken"]) if "nextToken" in params else 0
    end = start + params.get("maxResults", _PAGE)
    answer: dict[str, Any] = {name: kept[start:end]}
    if end < len(kept):
        answer["nextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return answer


def _position(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token))
    except ValueError:
        raise Fault("ValidationException", "The provided nextToken is invalid.") from None
