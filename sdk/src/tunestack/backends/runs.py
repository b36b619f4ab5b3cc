"""What runs need of a provider: a service that submits jobs and waits for them, without a client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tunestack.backends.base import JobRequest


class RunState(StrEnum):
    """The state of a run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """All of its jobs have ended, in any state."""
    FAILED = "failed"
    """Its jobs could not be read or submitted."""
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The service has a new word for it."""

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self not in {RunState.RUNNING, RunState.UNKNOWN}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """A run: an execution of the state machine of the stage."""

    id: str
    """The ARN of the execution."""
    name: str
    state: RunState
    created: datetime
    ended: datetime | None = None
    file: str | None = None
    """The file with its jobs; `None` in lists."""
    failure: str | None = None


@runtime_checkable
class RunHost(Protocol):
    """A provider that runs many jobs without a client."""

    def run_row(self, request: JobRequest) -> bytes:
        """Return the line of a job in the file of a run."""
        ...

    def state_machine(self) -> str:
        """Return the id of the service's resource that submits the jobs.

        Raises:
            DeploymentError: the deployment has none.
        """
        ...

    def put_run_file(self, name: str, content: bytes) -> None:
        """Store a file of a run."""
        ...

    def create_run_file(self, name: str, content: bytes) -> bool:
        """Store a file of a run, and return whether it did not exist; an existing file is kept."""
        ...

    def read_run_file(self, name: str) -> bytes:
        """Read a file of a run."""
        ...

    def require_run_evaluation(self) -> None:
        """Check that runs can evaluate their models in the account.

        Raises:
            DeploymentError: they can't.
        """
        ...

    def create_run(
        self, name: str, file: str, max_parallel: int, *, evaluate: bool = False
    ) -> RunInfo | None:
        """Start a run; the same name, file and limit again return the running one.

        Returns:
            `None` if there is, or was, another run of this name.
        """
        ...

    def run(self, run_id: str) -> RunInfo:
        """Get a run by its id or name.

        Raises:
            NotFoundError: the run does not exist.
        """
        ...

    def runs(self) -> Iterator[RunInfo]:
        """List the runs, the newest first."""
        ...

    def failed_submissions(self, run_id: str) -> Mapping[str, str]:
        """Return why jobs of a run failed or could not be submitted, by the name of the job."""
        ...

    def stop_run(self, run_id: str) -> None:
        """Stop submitting jobs; jobs that were created continue."""
        ...
