"""The route table: it finds the handler of a request by HTTP method and path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from tunestack_sandbox.messages import Request, Response

ANY_METHOD = "*"
_LABEL = re.compile(r"\\\{(\w+)(\\\+)?\\\}")

RequestHandler = Callable[[Request, Mapping[str, str]], Response]
"""Handles a request. The second argument is the labels of the path, decoded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One method and path, with the functions that handle its requests."""

    method: str
    """An HTTP method, or `ANY_METHOD`."""
    path: str
    """A path with labels: `{name}` matches one segment, `{name+}` the rest of the path."""
    handle: RequestHandler
    handle_crash: Callable[[Exception], Response]
    """Builds the response if `handle` raises an unexpected exception."""
    allows_trailing_slash: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path as a regular expression, with a group for each label."""
        pattern = _LABEL.sub(
            lambda label: f"(?P<{label[1]}>{'.*' if label[2] else '[^/]+'})", re.escape(self.path)
        )
        return re.compile(pattern + "/?" if self.allows_trailing_slash else pattern)

    @property
    def priority(self) -> tuple[bool, int, int]:
        """The sort key: routes with fewer labels come first, those with `{name+}` last."""
        return ("+}" in self.path, self.path.count("{"), -len(self.path))


class Router:
    """Finds the route of a request. One of the routes must match any request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Compile the routes."""
        ordered = sorted(routes, key=lambda route: route.priority)
        self._routes = [(route, route.pattern) for route in ordered]

    def match(self, request: Request) -> tuple[Route, dict[str, str]]:
        """Return the route of a request, and the labels of its path, decoded."""
        for route, pattern in self._routes:
            if route.method not in (request.method, ANY_METHOD):
                continue
            if match := pattern.fullmatch(request.path):
                labels = match.groupdict()
                return route, {name: unquote(value) for name, value in labels.items()}
        raise LookupError(f"no route for {request.method} {request.path}")
