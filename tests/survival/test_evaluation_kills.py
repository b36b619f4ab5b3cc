"""An evaluation that is killed at random moments: when it is run again, no stored answer is asked again."""

import json
import random
import subprocess
import sys
import time

import msgspec
import pytest

SCRIPT = """
import json, sys
from tunestack import Tuner
data, model, cache = sys.argv[1:]
print("started", flush=True)
result = Tuner().evaluate(data, model, against=["base"], cache=cache, workers=3, store=False, seed=1)
print(json.dumps(result.to_dict()))
"""
RECORDS = 40
_SECONDS = 0.02
"""The time of an answer, so that kills hit all moments."""


class Victim:
    """Runs evaluations in processes, and knows what they asked and stored."""

    def __init__(self, sandbox, data, model, folder):
        self.sandbox, self.data, self.model, self.folder = sandbox, data, model, folder
        self.asked: list[tuple[str, str]] = []

    def handle(self, call, handler):
        result = handler(call)
        if call.operation.name == "Converse":
            question = call.params["messages"][-1]["content"][0]["text"]
            self.asked.append((call.params["modelId"], question))
            time.sleep(_SECONDS)
        return result

    def count_stored(self, cache):
        """Return the number of stored answers, as whole lines."""
        lines = [line for path in cache.glob("*.jsonl") for line in path.read_bytes().split(b"\n")]
        return sum(bool(line) and is_json(line) for line in lines)

    def start(self, cache):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(self.data), self.model, str(cache)],
            stdout=subprocess.PIPE,
            env=self.sandbox.environment(),
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process


def is_json(line):
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def without_times(document):
    """Remove what differs between two runs with the same answers."""
    models = [{**row, "latency": None} for row in document["models"]]
    return {**document, "models": models, "created": None, "cost": None}


def run_kills(sandbox, job, chat, folder, kills):
    """Kill evaluations; return the number of kills, and of requests whose answer a kill discarded."""
    data = folder / "test.jsonl"
    rows = [{**chat[number % 20], "number": number} for number in range(RECORDS)]
    for row, number in zip(rows, range(RECORDS), strict=True):
        question = {"role": "user", "content": f"What is number {number}?"}
        row["messages"] = [question, chat[number % 20]["messages"][1]]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    victim, source, done, repeated = (
        Victim(sandbox, data, job.model, folder),
        random.Random(5),
        0,
        0,
    )
    with sandbox.intercept_operations(victim.handle):
        process = victim.start(folder / "whole")
        begin = len(victim.asked)
        expected = without_times(json.loads(process.communicate(timeout=60)[0]))
        assert len(victim.asked) - begin == 2 * RECORDS
        round_number = 0
        while done < kills:
            cache = folder / f"cache{round_number}"
            round_number += 1
            victim.asked.clear()
            while True:
                process = victim.start(cache)
                stored = victim.count_stored(cache)
                asked = len(victim.asked)
                try:
                    out, _ = process.communicate(timeout=source.uniform(0.3, 2.0))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    done += 1
                    time.sleep(3 * _SECONDS)  # what was sent before the kill takes effect
                    continue
                # This run asked exactly what was not stored.
                assert len(victim.asked) - asked == 2 * RECORDS - stored
                break
            assert without_times(json.loads(out)) == expected
            assert victim.count_stored(cache) == 2 * RECORDS, "each answer is stored once"
            repeated += len(victim.asked) - 2 * RECORDS
    return done, repeated


@pytest.mark.campaign
def test_evaluation_killed_at_100_moments_continues(sandbox, job, chat, tmp_path, figure):
    job.start_endpoint()
    done, repeated = run_kills(sandbox, job, chat, tmp_path, 100)
    figure(
        f"evaluation: {done} kills, 0 stored answers asked again, {repeated} requests in progress repeated"
    )
    assert repeated <= 3 * done
    job.stop_endpoint()
