"""The methods of `Tuner` for evaluations and promotions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from tunestack.backends.accounts import TunerBase
from tunestack.backends.identifiers import IdKind
from tunestack.endpoints.endpoint import START_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.evaluation.promotion import Promotion
    from tunestack.evaluation.result import Evaluation
    from tunestack.evaluation.spec import EvaluateArguments
    from tunestack.polling import Duration
    from tunestack.records.source import Source


class EvaluationMethods(TunerBase):
    """Evaluates and promotes models."""

    def evaluate(
        self, data: Source, model: str, **arguments: Unpack[EvaluateArguments]
    ) -> Evaluation:
        """Let models answer the questions of a held-out set, and compare their answers with the expected ones.

        Billed by the token, or for endpoints by the hour. Each answer is stored in the cache folder at once: an evaluation that
        was interrupted continues when it is called again, and no model is asked the same twice. See docs/evaluation.md.

        Args:
            data: the held-out set, in any format of training data; the last message of a record is the expected answer.
            model: the model to evaluate: a job, a fine-tuned model or its endpoint (id, ARN or name), or a base model.
            against: other models, as names, `NAME=MODEL` or a mapping; `base` is the base model of the evaluated model.
            prompts: prompts before each record, by the name of the model (`model` is the evaluated one): the text of a system
                message, or messages (few-shot examples).
            metrics: names of `tunestack.evaluation.metrics.METRICS`, `regex:PATTERN`, `module:function`,
                `dspy:module:function`, or functions of the expected and the actual text; by default `exact_match`.
            judge: a model that compares the answers of the evaluated model with those of each other model, in both orders.
            rubric: what the judge should prefer.
            by: a field of the records, for results by its values.
            require: conditions, such as `exact_match>=base+0.05`; see `Evaluation.passed`.
            mapping: the fields of records in another format, as for `submit`.
            limit: use only this many records, the first ones.
            temperature: 0 by default, which decodes deterministically as far as the provider does; `None` for its default.
            max_tokens: the maximum number of tokens of an answer.
            rendering: how prompts are written, for models that are trained on prompts; by default as in their training data.
            start_endpoint: start the endpoints that are missing, and stop them at the end, after errors and Ctrl-C, too.
            serving: how to serve them, see `Job.start_endpoint`.
            ttl: their longest lifetime.
            requests_per_minute: the quota of each model; by default the interval between requests adapts to throttling.
            workers: the number of requests at the same time.
            max_cost: the limit in US dollars. An answer that could pass it is not requested; the result says so.
            prices: US dollars per million input and output tokens, by the name of the model, if the catalog has none.
            cache: the folder of the stored answers; by default `~/.cache/tunestack/evaluations`.
            output: a folder for the results: `evaluation.json`, `records.jsonl`, and with pyarrow `records.parquet`.
            store: store the results of fine-tuned models in the data bucket, too.
            resamples: the number of resamples for the confidence intervals.
            seed: the random seed of the resamples.

        Raises:
            ConfigError: an argument is invalid, or a model has no endpoint. `CostError` if a price is unknown.
            DataError: the data is invalid; the message has the line.
            ProviderError: a model can't be invoked.
        """
        from tunestack.evaluation.run import evaluate  # noqa: PLC0415 - takes time to load
        from tunestack.evaluation.spec import EvaluationSpec  # noqa: PLC0415

        spec = EvaluationSpec(model=model, **arguments)
        return evaluate(self._accounts, data, spec, poll=self._poll)

    def promote(
        self,
        model: str,
        to: str,
        *,
        evaluation: Evaluation | str | None = None,
        timeout: Duration | None = START_TIMEOUT,
    ) -> Promotion:
        """Let the endpoint with a name that applications use serve a fine-tuned model, and wait until it does.

        An existing endpoint is updated in place: its ARN stays the same, and it keeps answering. If there is none, an on-demand
        deployment is created, which costs nothing while idle. The previous model, the caller, the time and the evaluation are
        recorded in the tags of the endpoint and in the data bucket.

        Args:
            model: the job, or the fine-tuned model or its endpoint (id, ARN or name).
            to: the name of the endpoint.
            evaluation: the evaluation that allows it: a result, its id, or the path of its `evaluation.json`. The model is
                promoted only if the evaluation is of this model, complete, and passed.
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            GateError: the evaluation does not allow it; nothing was changed.
            ConfigError: the endpoint serves a fine-tuned model of another base model, or the model is one of OpenAI.
            EndpointFailedError: the update failed; the endpoint serves the old model.
            EndpointTimeoutError: the endpoint does not serve the model in time; the update continues.
        """
        from tunestack.evaluation.candidates import CandidateResolver  # noqa: PLC0415
        from tunestack.evaluation.promotion import promote  # noqa: PLC0415

        name = self._accounts.of_id(IdKind.ENDPOINT, to)[1]
        candidate = CandidateResolver(self._accounts, prompts={}, prices={}).resolve("model", model)
        account = self._accounts.of_model(candidate.model)
        return promote(
            candidate,
            name,
            evaluation=evaluation,
            tags=account.endpoint_tags(candidate.model),
            timeout=timeout,
            poll=self._poll,
        )

    def rollback(self, name: str, *, timeout: Duration | None = START_TIMEOUT) -> Promotion:
        """Let an endpoint serve the model again that it served before the last promotion, and wait until it does.

        A second rollback returns to the promoted model.

        Args:
            name: the name of the endpoint.
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            StateError: the endpoint has no previous model.
            NotFoundError: the endpoint does not exist.
            EndpointFailedError: as in `promote`, and `EndpointTimeoutError`.
        """
        from tunestack.evaluation.promotion import rollback  # noqa: PLC0415

        account, identifier = self._accounts.of_id(IdKind.ENDPOINT, name)
        return rollback(account.backend(identifier), identifier, timeout=timeout, poll=self._poll)

    def promotions(self, name: str) -> Iterator[Promotion]:
        """List the promotions and rollbacks of an endpoint, the newest first, as they were recorded in the data bucket.

        Those of an endpoint that was deleted are listed, too. One that could not be recorded is missing.

        ```python
        for promotion in tuner.promotions("support-bot"):
            print(promotion.at, promotion.by, promotion.model, promotion.evaluation)
        ```

        Args:
            name: the name of the endpoint.

        Raises:
            AccessError: the caller may not read the results.
        """
        from tunestack.evaluation.promotion import promotions  # noqa: PLC0415

        account, identifier = self._accounts.of_id(IdKind.ENDPOINT, name)
        return promotions(account.backend(identifier), identifier)
