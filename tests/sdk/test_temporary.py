"""A missing temporary directory is a clear error."""

import json
import subprocess
import sys

import pytest

# Python checks a directory by writing a file to it.
LIMITED = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    "from tunestack.cli import main; main()"
)


@pytest.mark.parametrize("command", [["submit"], ["cost"], ["sandbox"]])
def test_missing_temporary_directory_is_a_clear_error(sandbox, chat, tmp_path, command):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in chat))
    arguments = [] if command == ["sandbox"] else [str(file), "-m", "nova-micro"]
    process = subprocess.run(
        [sys.executable, "-c", LIMITED, *command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode in (2, 3)
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    assert "no temporary directory" in line
    assert "set TMPDIR to " in line
