"""A Poll for tests whose clock is advanced instead of waiting."""

from dataclasses import replace
from itertools import islice

from tunestack import Poll
from tunestack.jobs.job import TIMEOUT


class FewPolls(Poll):
    """Polls a job of hours six times instead of forty, because a poll takes about 15 ms.

    A test that needs each phase of a job passes a timeout of hours.
    """

    def pauses(self, timeout):
        """Yield long pauses at first if the timeout is that of a job; a job that stalls has many polls."""
        end = self.clock() + timeout
        usual = Poll(factor=10, longest=self.longest, sleep=self.sleep, clock=self.clock)
        if timeout >= TIMEOUT:
            yield from islice(replace(usual, longest=3600).pauses(timeout), 8)
            usual = replace(usual, first=self.longest)
        yield from usual.pauses(end - self.clock())
