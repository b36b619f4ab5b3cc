"""Say how to install what is optional."""

from __future__ import annotations

import re

from tunestack.errors import MissingExtraError

_CONDITION = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


def missing_extra(extra: str, error: ImportError) -> MissingExtraError:
    """Return the error for an optional dependency that can't be imported.

    The command names the packages themselves: `tunestack[extra]` would have to be found in a package index, also by those
    who installed from a checkout or a wheel.

    Args:
        extra: the extra of this distribution that has the dependency.
        error: what the import raised.
    """
    package = (error.name or extra).partition(".")[0]
    command = " ".join(f"'{requirement}'" for requirement in requirements(extra) or [package])
    return MissingExtraError(
        f"the package {package!r} is not installed: run `pip install {command}`"
    )


def requirements(extra: str) -> list[str]:
    """Return what the installed distribution requires for an extra; nothing where it has no metadata."""
    # Takes as long as all of `import tunestack`.
    from importlib import metadata  # noqa: PLC0415

    try:
        lines = metadata.requires("tunestack") or []
    except metadata.PackageNotFoundError:
        return []
    split = [line.partition(";") for line in lines]
    return [
        requirement.strip()
        for requirement, _, condition in split
        if extra in _CONDITION.findall(condition)
    ]
