"""Run an evaluation."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import Serving
from tunestack.errors import CostError, DataError
from tunestack.evaluation import judge, scores, storage
from tunestack.evaluation.candidates import MODEL, Candidate, CandidateResolver
from tunestack.evaluation.endpoints import find_endpoint, provide_endpoints
from tunestack.evaluation.examples import read_examples
from tunestack.evaluation.gate import parse_gate
from tunestack.evaluation.gate_values import check_gate
from tunestack.evaluation.journal import Journal, request_key
from tunestack.evaluation.metrics import create_metrics
from tunestack.evaluation.requests import SAFETY, Budget, Limiter, Request, RequestSender
from tunestack.evaluation.result import Evaluation, notes
from tunestack.records.tokens import content_size, count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tunestack.backends.accounts import Accounts
    from tunestack.evaluation.examples import Example
    from tunestack.evaluation.journal import Answer, AnswerStore
    from tunestack.evaluation.spec import EvaluationSpec
    from tunestack.polling import Poll
    from tunestack.records.conversation import Conversation
    from tunestack.records.source import Source

_JUDGE = judge.METRIC


def _never() -> bool:
    return False


def evaluate(
    accounts: Accounts,
    data: Source,
    spec: EvaluationSpec,
    *,
    poll: Poll,
    open_journal: Callable[[str], AnswerStore] | None = None,
    is_over: Callable[[], bool] = _never,
) -> Evaluation:
    """Run an evaluation; see `Tuner.evaluate`.

    Args:
        accounts: the accounts of the models.
        data: the held-out set.
        spec: the evaluation.
        poll: how to wait.
        open_journal: returns the stored answers of a model, by its key; by default a file in the cache folder.
        is_over: returns whether no more requests may be sent.

    Raises:
        PausedError: `is_over` returned true before all requests were answered.
    """
    if isinstance(data, str) and data.startswith("s3://"):
        data = accounts.bedrock.backend().open(data)
    examples = read_examples(data, mapping=spec.mapping, limit=spec.limit)
    metrics = create_metrics(spec.metrics, examples)
    names = [metric.name for metric in metrics]
    gates = [
        parse_gate(text, metrics=(*names, *([_JUDGE] if spec.judge else ())), models=[*spec.models])
        for text in spec.require
    ]
    resolver = CandidateResolver(accounts, prompts=spec.prompts, prices=spec.prices)
    candidates = [
        resolver.resolve(name, text) for name, text in {MODEL: spec.model, **spec.models}.items()
    ]
    candidates = [_find_serving(candidate, spec, poll) for candidate in candidates]
    judge_model = None
    if spec.judge is not None:
        judge_model = _find_serving(resolver.resolve(_JUDGE, spec.judge), spec, poll)
    _require_prices([*candidates, *([judge_model] if judge_model else [])], spec)
    with ExitStack() as stack:
        run = _Run(
            accounts,
            spec,
            examples,
            candidates,
            judge_model,
            open_journal=open_journal or partial(Journal, spec.cache_folder),
            is_over=is_over,
            poll=poll,
            stack=stack,
        )
        run.send_missing()
        chosen, answers = run.select_complete()
        verdicts = run.read_verdicts(chosen, answers)
        kept = [examples[index] for index in chosen]
        scored = [
            scores.score(candidate, kept, answers[candidate.name], metrics)
            for candidate in candidates
        ]
        settings = {"resamples": spec.resamples, "seed": spec.seed}
        groups = scores.list_groups(kept, spec.by)
        models = tuple(
            scores.model_result(one, metrics, groups=groups, **settings) for one in scored
        )
        comparisons = [
            *(
                comparison
                for other in scored[1:]
                for comparison in scores.compare(scored[0], other, metrics, **settings)
            ),
            *(
                scores.compare_by_judge(name, [score for score, _ in found], **settings)
                for name, found in verdicts.items()
                if found
            ),
        ]
        is_complete = len(kept) == len(examples) and not run.budget.is_spent
        unparsed = sum(number for found in verdicts.values() for _, number in found)
        evaluation = Evaluation(
            id=run.digest(names),
            created=datetime.now(UTC),
            job=candidates[0].job,
            records=len(kept),
            total=len(examples),
            metrics=tuple(names),
            models=models,
            comparisons=tuple(comparisons),
            gates=tuple(
                check_gate(gate, models, comparisons, is_complete=is_complete) for gate in gates
            ),
            settings={
                "temperature": spec.temperature,
                "max_tokens": spec.max_tokens,
                **({"rendering": spec.rendering} if spec.rendering else {}),
                **settings,
            },
            cost=run.budget.spent,
            notes=tuple(
                notes(
                    records=len(kept),
                    total=len(examples),
                    is_spent=run.budget.is_spent,
                    unparsed=unparsed,
                    judged=2 * sum(map(len, verdicts.values())),
                )
            ),
            rows=scores.table(kept, scored, metrics),
        )
    return _store(evaluation, candidates[0], spec)


class _Run:
    """The requests of an evaluation, and their answers."""

    def __init__(
        self,
        accounts: Accounts,
        spec: EvaluationSpec,
        examples: Sequence[Example],
        candidates: Sequence[Candidate],
        judge_model: Candidate | None,
        *,
        open_journal: Callable[[str], AnswerStore],
        is_over: Callable[[], bool],
        poll: Poll,
        stack: ExitStack,
    ) -> None:
        """Open the journals."""
        self._accounts = accounts
        self._spec = spec
        self._examples = examples
        self._candidates = candidates
        self._arbiter = judge_model
        self._is_over = is_over
        self._poll = poll
        self._stack = stack
        self.budget = Budget(spec.max_cost, clock=poll.clock)
        everyone = [*candidates, *([judge_model] if judge_model else [])]
        opened: dict[str, AnswerStore] = {}
        for candidate in everyone:
            if candidate.key not in opened:
                opened[candidate.key] = stack.enter_context(open_journal(candidate.key))
        self._journals = {candidate.name: opened[candidate.key] for candidate in everyone}
        self._requests = {
            candidate.name: [
                self._request(candidate, candidate.create_request(example.conversation))
                for example in examples
            ]
            for candidate in candidates
        }
        self._errors: dict[str, Answer] = {}

    def _request(self, candidate: Candidate, conversation: Conversation) -> Request:
        rendering = self._spec.rendering if candidate.is_fine_tuned else None
        tokens = int(SAFETY * count_tokens(content_size(conversation)))
        price = candidate.price
        return Request(
            candidate=candidate,
            conversation=conversation,
            key=request_key(candidate.key, conversation, self._spec.settings, rendering),
            max_cost=0.0 if price is None else price.cost(tokens, self._spec.max_tokens),
        )

    def send_missing(self) -> None:
        """Send the requests without a stored answer, record by record, so that a part of an evaluation has whole records."""
        missing = [
            request
            for index in range(len(self._examples))
            for candidate in self._candidates
            for request in (self._requests[candidate.name][index],)
            if self._journals[candidate.name].get(request.key) is None
        ]
        self._send(_unique(missing))

    def _send(self, requests: Sequence[Request]) -> None:
        if not requests:
            return
        needed = {request.candidate.name: request.candidate for request in requests}
        with provide_endpoints(
            list(needed.values()),
            self._spec,
            tags=lambda candidate: self._accounts.of_model(candidate.model).endpoint_tags(
                candidate.model
            ),
            budget=self.budget,
            poll=self._poll,
        ) as endpoints:
            limiters = {
                name: Limiter(
                    self._spec.requests_per_minute
                    or candidate.backend.request_quota(endpoints[name]),
                    self._poll,
                )
                for name, candidate in needed.items()
            }
            sender = RequestSender(
                journals=self._journals,
                limiters=limiters,
                endpoints=endpoints,
                settings=self._spec.settings,
                rendering=self._spec.rendering,
                budget=self.budget,
                is_over=self._is_over,
            )
            sender.send_all(requests, workers=self._spec.workers)
            self._errors.update(sender.errors)

    def _answer(self, request: Request) -> Answer | None:
        stored = self._journals[request.candidate.name].get(request.key)
        return self._errors.get(request.key) if stored is None else stored

    def select_complete(self) -> tuple[list[int], dict[str, list[Answer]]]:
        """Return the records that all models answered, and the answers of each model to them.

        Raises:
            CostError: there is none, because of `max_cost`.
            DataError: there is none, because the provider refused all requests.
        """
        chosen: list[int] = []
        answers: dict[str, list[Answer]] = {name: [] for name in self._requests}
        for index in range(len(self._examples)):
            found = {name: self._answer(rows[index]) for name, rows in self._requests.items()}
            if all(answer is not None for answer in found.values()):
                chosen.append(index)
                for name, answer in found.items():
                    if answer is not None:
                        answers[name].append(answer)
        if not chosen:
            raise CostError(
                f"max_cost ${self._spec.max_cost or 0:g} is not enough for one record: raise it, or lower max_tokens"
            )
        for name, given in answers.items():
            if all(answer.error is not None for answer in given):
                raise DataError(f"{name!r} answered no record: {given[0].error}")
        return chosen, answers

    def read_verdicts(
        self, chosen: Sequence[int], answers: Mapping[str, Sequence[Answer]]
    ) -> dict[str, list[tuple[float, int]]]:
        """Query the judge; return the score of the evaluated model in each record, and the number of replies without verdict.

        Records without an answer of the judge, because of `max_cost`, are left out.
        """
        judge_model = self._arbiter
        if judge_model is None:
            return {}
        rubric = self._spec.rubric or judge.RUBRIC
        pairs: dict[str, list[tuple[Request, Request]]] = {}
        for name in list(answers)[1:]:
            pairs[name] = []
            for index, one, two in zip(chosen, answers[MODEL], answers[name], strict=True):
                example = self._examples[index]
                pairs[name].append(
                    (
                        self._request(
                            judge_model, judge.judge_request(example, one, two, rubric=rubric)
                        ),
                        self._request(
                            judge_model, judge.judge_request(example, two, one, rubric=rubric)
                        ),
                    )
                )
        requests = [request for rows in pairs.values() for pair in rows for request in pair]
        journal = self._journals[judge_model.name]
        self._send(_unique([one for one in requests if journal.get(one.key) is None]))
        return {
            name: [verdict for pair in rows if (verdict := self._verdict(*pair)) is not None]
            for name, rows in pairs.items()
        }

    def _verdict(self, first: Request, swapped: Request) -> tuple[float, int] | None:
        replies = self._answer(first), self._answer(swapped)
        if replies[0] is None or replies[1] is None:
            return None
        scores = [judge.read_verdict(reply.text) for reply in replies if reply is not None]
        return judge.combine(*scores), scores.count(None)

    def digest(self, metrics: Sequence[str]) -> str:
        """Return the id of the evaluation."""
        spec = self._spec
        content = (
            {name: [row.key for row in rows] for name, rows in self._requests.items()},
            [example.expected for example in self._examples],
            metrics,
            (spec.judge, spec.rubric, spec.by, list(spec.require), spec.resamples, spec.seed),
        )
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]


def _unique(requests: Sequence[Request]) -> list[Request]:
    """Return each different request once: equal records are asked once."""
    return list({(one.candidate.key, one.key): one for one in requests}.values())


def _find_serving(candidate: Candidate, spec: EvaluationSpec, poll: Poll) -> Candidate:
    """Find the endpoint of a model, and remove the price of tokens if it is provisioned throughput."""
    base = candidate.base if candidate.is_fine_tuned else None
    if base is None or Serving.PROVISIONED not in base.serving:
        return candidate
    endpoint = candidate.endpoint or find_endpoint(candidate, poll)
    serving = spec.serving if endpoint is None else endpoint.serving
    if serving == "auto":
        serving = base.serving[0]
    is_hourly = serving == Serving.PROVISIONED
    price = None if is_hourly else candidate.price
    return replace(candidate, endpoint=endpoint, price=price, is_hourly=is_hourly)


def _require_prices(candidates: Sequence[Candidate], spec: EvaluationSpec) -> None:
    """Check that `max_cost` can be checked."""
    if spec.max_cost is None:
        return
    for candidate in candidates:
        if candidate.price is None and not candidate.is_hourly:
            raise CostError(
                f"the price of {candidate.name!r} ({candidate.model}) is unknown, so max_cost can't be checked: pass its price "
                f"in US dollars per million tokens, prices={{{candidate.name!r}: (input, output)}} (--price), or remove max_cost"
            )


def _store(evaluation: Evaluation, candidate: Candidate, spec: EvaluationSpec) -> Evaluation:
    """Write and store the results."""
    if spec.store and candidate.is_fine_tuned:
        folder = storage.result_folder(candidate.model, evaluation.id)
        evaluation = storage.store(evaluation, candidate.backend, folder)
    if spec.output is not None:
        storage.write(storage.list_files(evaluation), spec.output)
    return evaluation
