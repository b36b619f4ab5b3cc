"""Find runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.runs import RunHost
from tunestack.errors import ConfigError
from tunestack.runs.run import Run
from tunestack.spec.arguments import check_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.protocols import Backend
    from tunestack.polling import Poll


def find_run(backend: Backend, run_id: str, *, poll: Poll) -> Run:
    """Return a run, by its ARN or name."""
    host = require_host(backend)
    return Run(backend, host, host.run(check_type("run_id", run_id, str)), poll=poll)


def list_runs(backend: Backend, *, poll: Poll) -> Iterator[Run]:
    """List the runs, the newest first."""
    host = require_host(backend)
    return (Run(backend, host, info, poll=poll) for info in host.runs())


def require_host(backend: Backend) -> RunHost:
    """Return the backend as one that has runs."""
    if isinstance(backend, RunHost):
        return backend
    raise ConfigError("runs need Bedrock: OpenAI has no service that submits jobs")
