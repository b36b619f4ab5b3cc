"""A missing temporary directory is a clear error, and Ctrl-C leaves no temporary directory."""

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


MAKE = (
    "make = Path.mkdir\n"
    "def interrupted(path, mode):\n"
    "    make(path, mode)\n"
    "    raise KeyboardInterrupt\n"
    "Path.mkdir = interrupted\n"
)
REMOVE = (
    "remove = shutil.rmtree\n"
    "def interrupted(path, ignore_errors):\n"
    "    shutil.rmtree = remove\n"
    "    raise KeyboardInterrupt\n"
    "shutil.rmtree = interrupted\n"
)


@pytest.mark.parametrize("interrupt", [MAKE, REMOVE], ids=["make", "remove"])
def test_ctrl_c_leaves_no_directory(tmp_path, interrupt):
    """While it is made, and while it is removed."""
    code = (
        "import shutil\n"
        "from pathlib import Path\n"
        "from tunestack._utils.temporary import temporary_directory\n"
        f"{interrupt}"
        "with temporary_directory() as directory:\n"
        "    (directory / 'data').write_bytes(b'data')\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "KeyboardInterrupt" in process.stderr
    assert list(tmp_path.iterdir()) == []
