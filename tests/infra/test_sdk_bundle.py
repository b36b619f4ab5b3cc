"""The code of the functions that evaluate the models of runs, and start the runs of schedules."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tunestack_cdk.constructs.sdk_bundle import MAX_BYTES, build_bundle, list_requirements

ROOT = Path(__file__).parents[2]
IMPORT = """
import sys
sys.path.insert(0, sys.argv[1])
from tunestack.runs.function import evaluate, start
import boto3, tunestack
assert boto3.__file__.startswith(sys.argv[1]) and tunestack.__file__.startswith(sys.argv[1])
"""


def test_bundle_has_everything_that_the_function_imports(tmp_path, figure):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    archive = build_bundle(None, version)
    with ZipFile(archive) as bundle:
        bundle.extractall(tmp_path)
        names = bundle.namelist()
        size = sum(entry.file_size for entry in bundle.infolist())
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in bundle.infolist())
    # Without site-packages: nothing of this environment can be imported.
    subprocess.run([sys.executable, "-I", "-S", "-c", IMPORT, str(tmp_path)], check=True)
    assert not [name for name in names if name.endswith(("RECORD", ".pyc", "direct_url.json"))]
    metadata = [path for path in tmp_path.rglob("*.dist-info/*") if path.is_file()]
    assert metadata
    assert not [path for path in metadata if str(ROOT).encode() in path.read_bytes()]
    figure(f"bundle of the SDK: {archive.stat().st_size:,} bytes, {size:,} unzipped")
    assert size < MAX_BYTES / 4

    content = archive.read_bytes()
    build_bundle.cache_clear()
    assert build_bundle(None, version).read_bytes() == content, "reproducible"


def test_requirements_are_the_installed_versions_without_extras():
    names = {requirement.partition("==")[0] for requirement in list_requirements()}
    assert {"boto3", "botocore", "msgspec", "orjson", "xxhash"} <= names
    assert not names & {"click", "openai", "dspy", "tunestack"}
