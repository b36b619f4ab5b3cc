"""A disk that is full or broken: nothing is created after a write that failed, and what is wrong is said."""

import pytest

ERRORS = ("ENOSPC", "EIO")


def outcomes(stage, errors, calls):
    """Let each write of a submission fail, one at a time; tell what came of it, and how many jobs there are."""
    points = [point for point in stage.points("on-demand", ("submit",)) if point[0] in calls]
    assert len(points) >= 2
    for name, number in points:
        for error in errors:
            stage.begin()
            inject = f"inject={name}:error={error}:when={number}"
            strace = ["-o", "/dev/null", "-e", f"trace={name}", "-e", inject]
            word = stage.run("on-demand", ("submit",), strace=strace)
            yield (name, number, error), word, len(stage.jobs("on-demand"))


def held(stage, errors, calls, figure):
    count = 0
    for point, word, jobs in outcomes(stage, errors, calls):
        count += 1
        if word == "done":  # what failed was removing what is no longer needed
            assert jobs == 1, point
            continue
        assert jobs == 0, point
        assert word.startswith("failed "), (point, word)
        assert "can't be written" in word or "No space" in word or "Input/output" in word, word
        # And again, when there is room.
        assert stage.run("on-demand", ("submit",)) == "done", point
        assert len(stage.jobs("on-demand")) == 1, point
    figure(f"a write of a submission fails, at {count} points: 0 jobs lost, 0 created after it")


def test_a_full_disk_submits_nothing(stage, figure):
    held(stage, ["ENOSPC"], {"write", "openat"}, figure)


@pytest.mark.campaign
def test_no_error_at_any_write_submits_anything(stage, figure):
    calls = {"write", "openat", "mkdir", "chmod", "fsync", "rename", "unlink", "unlinkat", "rmdir"}
    held(stage, ERRORS, calls, figure)
