"""Display HTML in a notebook, which needs no widgets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def create_display() -> Callable[[str], None] | None:
    """Return a function that shows HTML and replaces it when it is called again; `None` outside of notebooks."""
    # IPython is loaded already if this runs in a notebook.
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:  # IPython in a terminal shows no HTML
        return None
    display = ipython.display
    handle: Any = None

    def show(html: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display.display(display.HTML(html), display_id=True)
        else:
            handle.update(display.HTML(html))

    return show
