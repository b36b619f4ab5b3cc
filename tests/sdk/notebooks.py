"""Execute a notebook: notebooks.py SOURCE TARGET. In a process of its own, because nbclient leaves an event loop open."""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def start(source, target, **options):
    """Execute a notebook in another process, in the folder of `target`, where the result is written."""
    command = [sys.executable, "-W", "ignore", __file__, str(source), str(target)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    notebook = nbformat.read(source, as_version=4)
    resources = {"metadata": {"path": str(target.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    nbformat.write(notebook, target)
