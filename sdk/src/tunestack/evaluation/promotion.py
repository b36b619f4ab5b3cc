"""Promotion: an endpoint with a name that applications use serves another fine-tuned model, and can return to the previous one."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict

import msgspec
import orjson

from tunestack.backends.inference import ResultStore
from tunestack.backends.protocols import EndpointHost
from tunestack.catalog import Serving
from tunestack.endpoints.endpoint import Endpoint
from tunestack.endpoints.expiry import time_text
from tunestack.endpoints.start import OWN_PREFIX, start_endpoint
from tunestack.errors import (
    ConfigError,
    GateError,
    NotFoundError,
    StateError,
    TunestackError,
    shortened,
)
from tunestack.evaluation.result import Evaluation
from tunestack.evaluation.storage import result_folder
from tunestack.spec.arguments import OWN_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.base import EndpointInfo
    from tunestack.backends.protocols import Backend
    from tunestack.evaluation.candidates import Candidate
    from tunestack.polling import Duration, Poll

logger = logging.getLogger(__name__)

PREVIOUS_TAG = f"{OWN_TAGS}previous-model"
BY_TAG = f"{OWN_TAGS}promoted-by"
AT_TAG = f"{OWN_TAGS}promoted-at"
EVALUATION_TAG = f"{OWN_TAGS}evaluation"

_NONE = "none"
# botocore's pattern of TagValue, and its maximum length.
_NOT_IN_TAGS = re.compile(r"[^a-zA-Z0-9\s._:/=+@-]")
_MAX_TAG = 256
_UNREADABLE = (
    *(AttributeError, OSError, RecursionError, TypeError, ValueError),
    msgspec.ValidationError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """A promotion, or a rollback."""

    name: str
    """The endpoint."""
    id: str
    """Its id, on Bedrock its ARN."""
    model: str
    """The fine-tuned model that it serves now."""
    previous: str | None
    """The fine-tuned model that it served before; `None` for a new endpoint."""
    by: str
    """Who promoted the model: on AWS the ARN of the caller."""
    at: str
    """When, in UTC."""
    evaluation: str | None = None
    """The evaluation: its folder in S3, or its id."""
    sentences: tuple[str, ...] = ()
    """The comparisons of the evaluation."""
    is_rollback: bool = False


def promote(
    candidate: Candidate,
    name: str,
    *,
    evaluation: Evaluation | str | None,
    tags: Mapping[str, str],
    timeout: Duration | None,
    poll: Poll,
) -> Promotion:
    """Let an endpoint serve a model; see `Tuner.promote`."""
    backend, model = candidate.backend, candidate.model
    host = _require_host(backend)
    if not candidate.is_fine_tuned:
        raise ConfigError(f"{model!r} is a base model: only fine-tuned models can be promoted")
    document = _load(evaluation, candidate)
    _require_gates(document, candidate)
    existing = _existing(backend, name)
    if existing is not None:
        _require_same_base(backend, existing, model)
    previous = None if existing is None else existing.model
    if existing is not None and previous == model and existing.target in (None, model):
        previous = _previous(host, existing)  # promoted before: what it can return to stays
    promotion = Promotion(
        name=name if existing is None else existing.name,
        id=name if existing is None else existing.id,
        model=model,
        previous=previous,
        by=_caller(backend),
        at=time_text(backend.now()),
        evaluation=None if document is None else str(document.get("uri") or document["id"]),
        sentences=() if document is None else tuple(document["sentences"]),
    )
    if existing is None:
        endpoint = _start(candidate, name, {**tags, **_tags(promotion)}, poll)
        promotion = replace(promotion, id=endpoint.id)
        _record(backend, promotion)
        endpoint.wait(timeout)
        return promotion
    # Before the update: after a crash in between, the model to return to is known.
    host.tag_endpoint(existing.id, _tags(promotion))
    _record(backend, promotion)
    Endpoint(backend, existing, poll=poll).update(model, timeout)
    return promotion


def rollback(backend: Backend, name: str, *, timeout: Duration | None, poll: Poll) -> Promotion:
    """Let an endpoint serve its previous model again; see `Tuner.rollback`."""
    host = _require_host(backend)
    info = backend.endpoint(name)
    name = info.name
    previous = _previous(host, info)
    if previous is None:
        raise StateError(
            f"endpoint {name!r} has no previous model: it was created by its first promotion, or was never promoted",
            job_id=info.id,
        )
    if previous == info.model:
        interrupted = _find_interrupted(backend, name, served=info.model)
        # An update to another target is that of an interrupted promotion.
        if info.target in (None, interrupted):
            previous = interrupted
    if previous is None:
        raise StateError(
            f"endpoint {name!r} serves its previous model {info.model!r} already: the last promotion did not complete",
            job_id=info.id,
        )
    promotion = Promotion(
        name=name,
        id=info.id,
        model=previous,
        previous=info.model if info.model != previous else info.target,
        by=_caller(backend),
        at=time_text(backend.now()),
        is_rollback=True,
    )
    # Before the tags: after a crash before the update, the tags have the model that is served.
    _record(backend, promotion)
    host.tag_endpoint(info.id, _tags(promotion))
    Endpoint(backend, info, poll=poll).update(previous, timeout)
    return promotion


def _find_interrupted(backend: Backend, name: str, *, served: str) -> str | None:
    """Return the model of a rollback that was recorded, and whose update has not completed; `None` if there is none."""
    with suppress(TunestackError):
        last = next(promotions(backend, name), None)
        if last is not None and last.is_rollback and last.previous == served:
            return last.model
    return None


def promotions(backend: Backend, name: str) -> Iterator[Promotion]:
    """Read the promotions of an endpoint that were recorded, the newest first; see `Tuner.promotions`."""
    if isinstance(backend, ResultStore):
        if name.startswith("arn:"):
            name = backend.endpoint(name).name
        for stored in sorted(backend.list_results(f"promotions/{name}/"), reverse=True):
            yield msgspec.json.decode(backend.read_result(stored), type=Promotion)


def _require_host(backend: Backend) -> EndpointHost:
    if isinstance(backend, EndpointHost):
        return backend
    raise ConfigError(
        "OpenAI has no endpoints with names of your own: let your application read the name of the model (ft:...) from its "
        "configuration, and change it there"
    )


def _existing(backend: Backend, name: str) -> EndpointInfo | None:
    try:
        return backend.endpoint(name)
    except NotFoundError:
        return None


def _require_same_base(backend: Backend, existing: EndpointInfo, model: str) -> None:
    """Check that the service can update the endpoint to the model.

    Source: API reference, UpdateCustomModelDeployment and UpdateProvisionedModelThroughput: a model of the same base model.
    """
    served, promoted = backend.base(existing.model), backend.base(model)
    if served.key != promoted.key:
        raise ConfigError(
            f"endpoint {existing.name!r} serves a fine-tuned {served.name}, and can't be updated to a fine-tuned "
            f"{promoted.name}: promote it to another name"
        )


def _start(candidate: Candidate, name: str, tags: Mapping[str, str], poll: Poll) -> Endpoint:
    base = candidate.backend.base(candidate.model)
    if name.startswith(OWN_PREFIX):
        raise ConfigError(
            f"no endpoint is named {shortened(name)}, and names of new endpoints can't start with {OWN_PREFIX!r}: "
            "choose the name that applications use"
        )
    if Serving.ON_DEMAND not in base.serving:
        raise ConfigError(
            f"no endpoint is named {shortened(name)}, and a fine-tuned {base.name} needs provisioned throughput, which is "
            "billed by the hour: start its endpoint, and promote to the name of that endpoint"
        )
    return start_endpoint(
        candidate.backend,
        candidate.model,
        base,
        serving=Serving.ON_DEMAND.value,
        ttl=None,
        model_units=1,
        tags=tags,
        unguarded=False,
        poll=poll,
        name=name,
    )


class _Gate(TypedDict):
    gate: str
    passed: bool
    detail: str


class _Model(TypedDict):
    model: str


class _Result(TypedDict):
    """What a promotion needs of the result of an evaluation."""

    id: str
    models: Annotated[list[_Model], msgspec.Meta(min_length=1)]
    gates: list[_Gate]
    sentences: list[str]
    records: int
    total: int
    uri: NotRequired[str | None]


def _load(evaluation: Evaluation | str | None, candidate: Candidate) -> _Result | None:
    """Read an evaluation: a result, the path of its file or folder, or its id in the data bucket."""
    if evaluation is None:
        return None
    if isinstance(evaluation, Evaluation):
        return msgspec.convert(evaluation.to_dict(), _Result)
    try:
        path = Path(evaluation)
        if path.exists():
            content = (path / "evaluation.json" if path.is_dir() else path).read_bytes()
        elif isinstance(candidate.backend, ResultStore):
            identifier = evaluation.rstrip("/").rpartition("/")[2]
            folder = result_folder(candidate.model, identifier)
            content = candidate.backend.read_result(f"{folder}/evaluation.json")
        return msgspec.convert(json.loads(content), _Result)
    except (*_UNREADABLE, NotFoundError) as error:
        raise ConfigError(
            f"evaluation {shortened(evaluation)} of {candidate.model!r} can't be read: {error}: expected its id, or the path of "
            "its evaluation.json"
        ) from error


def _require_gates(document: _Result | None, candidate: Candidate) -> None:
    """Check that the evaluation is of this model, complete, and passed its gates."""
    if document is None:
        return
    evaluated = document["models"][0]["model"]
    if evaluated != candidate.model:
        raise GateError(
            f"evaluation {document['id']} is of {evaluated!r}, not of {candidate.model!r}: evaluate the model to promote"
        )
    if document["records"] != document["total"]:
        raise GateError(
            f"evaluation {document['id']} answered {document['records']} of {document['total']} records: complete it first"
        )
    failed = [gate for gate in document["gates"] if not gate["passed"]]
    if failed:
        reasons = "; ".join(f"{gate['gate']}: {gate['detail']}" for gate in failed)
        raise GateError(f"evaluation {document['id']} did not pass: {reasons}: nothing was changed")


def _previous(host: EndpointHost, info: EndpointInfo) -> str | None:
    previous = host.endpoint_tags(info.id).get(PREVIOUS_TAG)
    return None if previous in (None, _NONE) else previous


def _caller(backend: Backend) -> str:
    if not isinstance(backend, ResultStore):
        return "unknown"
    try:
        return backend.caller()
    except TunestackError as error:
        logger.warning("the caller is unknown: %s", error)
        return "unknown"


def _tags(promotion: Promotion) -> dict[str, str]:
    """Return the tags of an endpoint; characters that tags can't have are replaced."""
    values = {
        PREVIOUS_TAG: promotion.previous or _NONE,
        BY_TAG: promotion.by,
        AT_TAG: promotion.at,
        EVALUATION_TAG: promotion.evaluation or _NONE,
    }
    return {key: _NOT_IN_TAGS.sub("_", value)[:_MAX_TAG] for key, value in values.items()}


def _record(backend: Backend, promotion: Promotion) -> None:
    """Store a promotion; the tags of the endpoint have the same if that fails."""
    if not isinstance(backend, ResultStore):
        return
    name = f"promotions/{promotion.name}/{promotion.at.replace(':', '')}-{promotion.model.rsplit('/', 1)[-1]}.json"
    try:
        backend.put_result(name, orjson.dumps(asdict(promotion), option=orjson.OPT_INDENT_2))
    except TunestackError as error:
        logger.warning("the promotion is not recorded in the data bucket: %s", error)
