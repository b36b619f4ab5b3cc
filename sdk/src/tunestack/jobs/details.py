"""The methods of `Job` that observe it, and those that need nothing but its id."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from tunestack.backends.base import JobInfo, JobState
from tunestack.backends.handle import Handle
from tunestack.backends.jobs import PausableJobs, TaggableJobs
from tunestack.errors import ConfigError
from tunestack.polling import wait_until_visible
from tunestack.spec.arguments import check_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.base import Checkpoint, JobMessage

logger = logging.getLogger(__name__)

SUBMITTED = "submitted"
"""`JobInfo.raw_state` of a job that was just created and not read from the provider yet."""


class JobDetails(Handle[JobInfo]):
    """The part of `Job` that gets its state, messages, checkpoints and metrics, and that pauses, resumes and tags it."""

    def refresh(self) -> JobInfo:
        """Get the job from the provider."""
        return self.update_info(self.fetch())

    def update_info(self, info: JobInfo) -> JobInfo:
        """Replace the last observation, for example by one from a list, and log a new state."""
        before, self._info = self._info, info
        if (info.state, info.phase) != (before.state, before.phase):
            level = logging.WARNING if info.state is JobState.UNKNOWN else logging.INFO
            logger.log(level, "job %s is %s", self.name, info.description)
        return info

    def fetch(self) -> JobInfo:
        """Get the job from the provider, without updating the last observation."""
        get = partial(self._backend.job, self._info.id)
        if self._info.raw_state != SUBMITTED:
            return get()
        # A new job may not be visible at once.
        return wait_until_visible(get, poll=self._poll) or get()

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
