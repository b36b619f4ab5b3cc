"""Load functions that a user names on the command line."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def load_function(name: str) -> Callable[..., Any]:
    """Load a function by its name, `module:function`; modules in the current directory are found.

    Raises:
        ConfigError: the name is invalid, or the module can't be imported.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise ConfigError(f"invalid function {name!r}: use module:function")
    current = str(Path.cwd())
    if current not in sys.path:
        sys.path.insert(0, current)
    try:
        module = import_module(module_name)
    except Exception as error:
        raise ConfigError(f"the module of {name!r} can't be imported: {error!r}") from error
    function: Callable[..., Any] | None = getattr(module, function_name, None)
    if not callable(function):
        raise ConfigError(f"the module {module_name!r} has no function {function_name!r}")
    return function
