"""The methods of `Job` that need nothing but its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.base import JobInfo
from tunestack.backends.handle import Handle
from tunestack.backends.jobs import PausableJobs, TaggableJobs
from tunestack.errors import ConfigError
from tunestack.spec.arguments import check_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.base import Checkpoint, JobMessage


class JobDetails(Handle[JobInfo]):
    """The part of `Job` that pauses, resumes and tags it, and reads its messages, checkpoints and metrics."""

    def refresh(self) -> JobInfo:
        """Get the job from the provider."""
        raise NotImplementedError

    def pause(self) -> None:
        """Pause the job (OpenAI only); what it has trained is billed, and kept.

        Raises:
            ConfigError: the provider can't pause jobs.
            InvalidRequestError: the job can't be paused in its present state.
        """
        self._pausable().pause_job(self.id)

    def resume(self) -> None:
        """Resume the paused job; the errors are those of `pause`."""
        self._pausable().resume_job(self.id)

    def _pausable(self) -> PausableJobs:
        if isinstance(self._backend, PausableJobs):
            return self._backend
        raise ConfigError(
            f"job {self.name!r} can't be paused or resumed: Bedrock does not support that; cancel() stops it"
        )

    def tags(self) -> dict[str, str]:
        """Read the tags of the job; at OpenAI, its metadata."""
        return dict(self._backend.job_tags(self.id))

    def add_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Add tags to the job (Bedrock only), or replace their values, and return all tags; its model keeps its own.

        Args:
            tags: as those of `submit`, for example `{"team": "search"}`. AWS allows 50 tags in all.

        Raises:
            ConfigError: a tag is invalid or reserved, or the provider can't change the tags of a job.
        """
        check_tags(tags)
        if not isinstance(self._backend, TaggableJobs):
            raise ConfigError(
                f"job {self.name!r} can't get tags: OpenAI does not support that after its creation; submit has tags"
            )
        self._backend.tag_job(self.id, tags)
        return self.tags()

    def messages(self) -> Iterator[JobMessage]:
        """List the provider's messages about the job, the newest first; on Bedrock, the changes of its phases."""
        return self._backend.messages(self.id)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """List the checkpoints of the job, the newest first; Bedrock's can't be invoked, so there are none."""
        return self._backend.checkpoints(self.id)

    def metrics(self) -> Sequence[Mapping[str, float]]:
        """Read the losses, one row a step; empty until the job has succeeded."""
        return self._backend.metrics(self.refresh())
