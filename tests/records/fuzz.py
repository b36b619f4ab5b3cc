"""Read, check and convert arbitrary bytes; called by `test_fuzz.py`, and by a fuzzer guided by coverage.

`python fuzz.py ACCEPTED RUNS CORPUS` runs atheris; lines that were accepted are written to the file ACCEPTED.
"""

import json
import sys
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["tunestack.records"]):
        from tunestack.records.pipeline import ChunkConverter
else:
    from tunestack.records.pipeline import ChunkConverter

from tunestack.catalog import CATALOG
from tunestack.records.chunks import Chunk
from tunestack.records.target import Target
from tunestack.records.totals import Totals

KEYS = [
    "nova-micro", "nova-lite", "nova-2-lite", "llama-3-2-11b", "llama-3-1-8b", "llama-2-13b",
    "claude-3-haiku", "cohere-command", "titan-text-express", "gpt-4o-2024-08-06", "gpt-4.1-2025-04-14",
]  # fmt: skip
SOURCES = [
    "chat",
    "completion",
    "preference",
    "bedrock-conversation-2024",
    "messages",
    "input-output-text",
    None,
]


@cache
def create_target(key, source, lossy, preference):
    form = "preference" if preference and "gpt-4.1" in key else None
    return Target.create(
        CATALOG[key],
        source=source,
        record_format=form,
        on_loss="report" if lossy else "error",
    )


def probe(data):
    """Convert bytes as the lines of a file; return the converted lines."""
    if len(data) < 2:
        return b""
    chosen, more, body = data[0], data[1], data[2:]
    target = create_target(
        KEYS[chosen % len(KEYS)], SOURCES[more % len(SOURCES)], bool(more & 64), bool(more & 128)
    )
    lines = [line + b"\n" for line in body.split(b"\n")]
    totals = Totals(target, 50)
    out = ChunkConverter(totals).convert(Chunk(lines, 0))
    assert len(lines) == totals.lines == len(totals.fingerprints)
    assert out.count(b"\n") + totals.invalid + totals.unchecked == totals.records, (lines, totals)
    for line in out.splitlines():
        json.loads(line, parse_constant=lambda word: 1 / 0)
    return out


def fuzz(accepted, runs, corpus):
    """Run atheris; it ends the process."""
    with Path(accepted).open("ab", buffering=0) as file:

        def one(data):
            file.write(probe(data))

        atheris.Setup(
            [sys.argv[0], f"-runs={runs}", "-max_len=1500", "-timeout=20", "-rss_limit_mb=2048", "-seed=1", "-print_final_stats=1", f"-artifact_prefix={corpus}-", corpus],
            one,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    fuzz(*sys.argv[1:])
