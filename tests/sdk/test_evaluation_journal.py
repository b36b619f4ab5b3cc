"""The journal of answers: durable, private, and readable after a crash at any byte."""

import stat

import pytest

from tunestack.backends.base import InferenceSettings, ToolCall
from tunestack.errors import ConfigError
from tunestack.evaluation.journal import Answer, Journal, request_key
from tunestack.records.conversation import from_messages

ANSWER = Answer(text="Yes\n\u2028no", tool_calls=(ToolCall(name="f", input={"a": 1}),), seconds=0.5)
GREEDY = InferenceSettings(temperature=0)


def key(content="a", model="m", settings=GREEDY, rendering=None):
    return request_key(
        model, from_messages([{"role": "user", "content": content}]), settings, rendering
    )


def test_stored_answer_is_read_again(tmp_path):
    with Journal(tmp_path, "m") as journal:
        journal.put("k", ANSWER)
        assert journal.get("other") is None
    with Journal(tmp_path, "m") as journal, Journal(tmp_path, "n") as other:
        assert journal.get("k") == ANSWER
        assert other.get("k") is None


def test_line_that_was_cut_off_at_any_byte_is_ignored(tmp_path):
    with Journal(tmp_path, "m") as journal:
        journal.put("1", ANSWER)
        journal.put("2", ANSWER)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for length in range(first, len(content)):
        path.write_bytes(content[:length])
        with Journal(tmp_path, "m") as journal:
            assert journal.get("1") == ANSWER
            assert journal.get("2") == (ANSWER if length == len(content) - 1 else None)
            journal.put("3", ANSWER)
        with Journal(tmp_path, "m") as journal:
            assert journal.get("1") == journal.get("3") == ANSWER


def test_only_the_user_can_read_the_answers(tmp_path):
    folder = tmp_path / "cache"
    with Journal(folder, "m"):
        pass
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_key_depends_on_everything_that_changes_the_answer():
    keys = {
        key(),
        key("b"),
        key(model="n"),
        key(settings=InferenceSettings(temperature=0.5)),
        key(settings=InferenceSettings(temperature=0, max_tokens=5)),
        key(rendering="raw"),
    }
    assert len(keys) == 6
    assert key() in keys


def test_closed_journal_writes_nothing(tmp_path):
    """A thread may get its answer after Ctrl-C: its file descriptor may be that of another file by then."""
    journal = Journal(tmp_path, "m")
    journal.close()
    with pytest.raises(ConfigError, match="can't be written"):
        journal.put("k", ANSWER)


def test_unusable_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigError, match=r"can't be used: .*specify another with cache= \(--cache\)"
    ):
        Journal(tmp_path / "file", "m")
