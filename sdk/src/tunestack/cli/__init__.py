"""The command line: `tunestack ...`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that was typed, and exit with its code.

    0 done; 1 the answer is no (bad data, failed job); 2 wrong usage or settings; 3 the vendor refused or failed; 130 interrupted.
    """
    try:
        from tunestack.cli.commands import run  # noqa: PLC0415 - click is optional
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("error: the command line is not installed: pip install 'tunestack[cli]'")
    sys.exit(run())
