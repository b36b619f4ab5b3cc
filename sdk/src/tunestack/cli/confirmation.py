"""Confirm a plan in a terminal before anything is created."""

from __future__ import annotations

import click

from tunestack.cli.output import is_interactive


class DeclinedError(Exception):
    """The plan was not confirmed."""


def require_confirmation(question: str, *, yes: bool) -> None:
    """Ask a question in a terminal, unless `--yes` is set; elsewhere, do nothing.

    Raises:
        DeclinedError: the answer is no.
    """
    if not yes and is_interactive() and not click.confirm(question, err=True):
        raise DeclinedError
