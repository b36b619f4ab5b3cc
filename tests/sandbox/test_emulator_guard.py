"""The sandbox refuses to change a version of MiniStack's Step Functions that it does not know."""

import importlib.util
from pathlib import Path

import pytest

from tunestack_sandbox.emulator_states import require_known_version


def load(path):
    """Load a copy of MiniStack's Step Functions."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", None),
        ("def _scaled_sleep(seconds)", "def _scaled_sleep(seconds, jitter=0)", "_scaled_sleep has"),
        ("def _run_execution(", "def _run_machine(", "_run_execution has"),
        ("threading.Event()", "threading.Barrier(2)", "uses threading.Barrier"),
        ("time.sleep(scaled)", "time.clock_gettime(0)", "uses time.clock_gettime"),
    ],
    ids=["pinned version", "parameter", "name", "way to wait", "way to read the time"],
)
def test_an_unknown_version_of_the_emulator_is_refused(tmp_path, old, new, message):
    spec = importlib.util.find_spec("ministack.services.stepfunctions")
    assert spec is not None
    source = Path(str(spec.origin)).read_text()
    assert old in source
    copy = tmp_path / "stepfunctions_copy.py"
    copy.write_text(source.replace(old, new) if old else source)
    module = load(copy)
    if message is None:
        require_known_version(module)
    else:
        with pytest.raises(RuntimeError, match=message):
            require_known_version(module)
