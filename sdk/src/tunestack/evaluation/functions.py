"""Load a function that is named on the command line."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable


def load_function(spec: str) -> Callable[..., Any]:
    """Return the function `module:function`; the module may be in the current directory.

    Raises:
        ConfigError: it can't be imported, or is not a function.
    """
    module_name, _, name = spec.partition(":")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        function: Any = import_module(module_name)
        for part in name.split("."):
            function = getattr(function, part)
    except Exception as error:  # whatever the module raises when it is imported
        raise ConfigError(
            f"function {shortened(spec)} can't be loaded: {type(error).__name__}: {error}: "
            "expected module:function, importable from here"
        ) from error
    finally:
        sys.path.remove(folder)
    if not callable(function):
        raise ConfigError(f"{shortened(spec)} is not a function: expected module:function")
    return function  # type: ignore[no-any-return]
