"""Evaluations in parts: each ends when its time is over, and the next one continues with the stored answers."""

from collections import Counter
from functools import partial
from itertools import count

import pytest

from tests.sdk.run_specs import ROWS
from tunestack.evaluation.requests import PausedError
from tunestack.evaluation.run import evaluate
from tunestack.evaluation.spec import EvaluationSpec
from tunestack.evaluation.stored_journal import StoredJournal


def test_evaluation_in_parts_sends_no_request_twice(tuner, sandbox, poll):
    asked: Counter[str] = Counter()

    def record(call, handler):
        if call.operation.name == "Converse":
            asked[str(call.params["messages"])] += 1
        return handler(call)

    accounts = tuner._accounts
    store = accounts.bedrock.backend()
    spec = EvaluationSpec(model="nova-micro", metrics=["token_f1"], workers=1)

    def run_part(requests):
        numbers = count()
        return evaluate(
            accounts,
            ROWS,
            spec,
            poll=poll,
            open_journal=partial(StoredJournal, store),
            is_over=lambda: next(numbers) >= requests,
        )

    with sandbox.intercept_operations(record):
        for expected in (8, 16):
            with pytest.raises(PausedError):
                run_part(8)
            assert sum(asked.values()) == expected
        result = run_part(100)
    assert (result.records, result.total) == (20, 20)
    assert set(asked.values()) == {1}
    assert len(asked) == len(ROWS)
