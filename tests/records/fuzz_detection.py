"""Detect, read and convert arbitrary files; called by `test_fuzz_detection.py`, and by a fuzzer guided by coverage.

`python fuzz_detection.py RUNS CORPUS` runs atheris.
"""

import io
import sys

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["tunestack.records"]):
        from tunestack.records import check
else:
    from tunestack.records import check

from tunestack.catalog import CATALOG
from tunestack.errors import TunestackError

NOVA = CATALOG["nova-pro"]


def probe(data):
    """Check bytes as a file; return the report, or `None` if they are refused."""
    try:
        return check(io.BytesIO(data), NOVA)
    except TunestackError:
        return None


def fuzz(runs, corpus):
    """Run atheris; it ends the process."""
    options = [f"-runs={runs}", "-max_len=4000", "-timeout=20", "-rss_limit_mb=2048", "-seed=1", "-print_final_stats=1"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}-", corpus], probe_only)
    atheris.Fuzz()


def probe_only(data):
    """Check bytes, for atheris, which allows no result."""
    probe(data)


if __name__ == "__main__":
    fuzz(*sys.argv[1:])
