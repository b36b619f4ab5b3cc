"""A full or broken disk: after a failed write, no job is created, and the error names the reason."""

import pytest

ERRORS = ("ENOSPC", "EIO")


def fail_each_write(stage, errors, calls):
    """Fail each write of a submission, one at a time; yield the write, the last message and the number of jobs."""
    points = [point for point in stage.list_points("on-demand", ("submit",)) if point[0] in calls]
    assert len(points) >= 2
    for name, number in points:
        for error in errors:
            stage.reset()
            inject = f"inject={name}:error={error}:when={number}"
            strace = ["-o", "/dev/null", "-e", f"trace={name}", "-e", inject]
            message = stage.run("on-demand", ("submit",), strace=strace)
            yield (name, number, error), message, len(stage.list_jobs("on-demand"))


def check_failed_writes(stage, errors, calls, figure):
    count = 0
    for point, message, jobs in fail_each_write(stage, errors, calls):
        count += 1
        if message == "done":  # The failed call deleted a temporary file.
            assert jobs == 1, point
            continue
        assert jobs == 0, point
        assert message.startswith("failed "), (point, message)
        reasons = ("can't be written", "No space", "Input/output")
        assert any(reason in message for reason in reasons), message
        # The next run without a fault succeeds.
        assert stage.run("on-demand", ("submit",)) == "done", point
        assert len(stage.list_jobs("on-demand")) == 1, point
    figure(f"a write of a submission fails, at {count} points: 0 jobs lost, 0 created after it")


def test_full_disk_creates_no_job(stage, figure):
    check_failed_writes(stage, ["ENOSPC"], {"write", "openat"}, figure)


@pytest.mark.campaign
def test_error_at_any_write_creates_no_job(stage, figure):
    calls = {"write", "openat", "mkdir", "chmod", "fsync", "rename", "unlink", "unlinkat", "rmdir"}
    check_failed_writes(stage, ERRORS, calls, figure)
