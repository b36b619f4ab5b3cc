"""Ids as people type them: a short id, `latest`, or whatever the SDK accepts."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tunestack.backends.bedrock.arn import Arn
from tunestack.backends.openai.identifiers import JOB_PREFIX, MODEL_PREFIX, PREFIX
from tunestack.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from typing import Protocol

    from tunestack.backends.accounts import Provider
    from tunestack.custom_models import CustomModel
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.jobs.job import Job
    from tunestack.tuner import Tuner

    class _Info(Protocol):
        @property
        def id(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def created(self) -> datetime | None: ...


LATEST = "latest"
_SHORT = re.compile(r"[a-z0-9]{4,12}")


def short_id(identifier: str) -> str:
    """Return the last part of an ARN: the 12 characters that Bedrock generates; other ids as they are."""
    return identifier.rsplit("/", 1)[-1] if identifier.startswith("arn:") else identifier


def find_job(tuner: Tuner, text: str, provider: Provider) -> Job:
    """Return a job, by its id, short id or name, or the latest."""
    with _explain(text, "tunestack jobs list", provider):
        return tuner.job(
            _full_id(
                text,
                lambda: (job.info for job in tuner.jobs(provider=provider)),
                provider,
                missing="no jobs: submit one with `tunestack submit FILE --model MODEL`",
            )
        )


def find_custom_model(tuner: Tuner, text: str, provider: Provider) -> CustomModel:
    """Return a custom model, by its id, short id or name, or the latest."""
    with _explain(text, "tunestack custom-models list", provider):
        return tuner.custom_model(
            _full_id(
                text,
                lambda: (model.info for model in tuner.custom_models(provider=provider)),
                provider,
                missing="no custom models: a job creates one, `tunestack jobs list`",
            )
        )


def find_endpoint(tuner: Tuner, text: str, provider: Provider) -> Endpoint:
    """Return an endpoint, by its id, short id or name, or the latest."""
    with _explain(text, "tunestack endpoints list", provider):
        return tuner.endpoint(
            _full_id(
                text,
                lambda: (endpoint.info for endpoint in tuner.endpoints(provider=provider)),
                provider,
                missing="no endpoints: start one with `tunestack endpoints start JOB`",
            )
        )


def resolve_model(tuner: Tuner, text: str) -> str:
    """Return the id of the latest job for `latest`, and of a job for its short id; other names of models as they are."""
    if text != LATEST and not _SHORT.fullmatch(text):
        return text
    jobs = (job.info for job in tuner.jobs())
    return _full_id(
        text,
        lambda: jobs,
        "bedrock",
        missing="no jobs: submit one with `tunestack submit FILE --model MODEL`",
    )


@contextmanager
def _explain(text: str, command: str, provider: Provider) -> Iterator[None]:
    """Add to the error about an id the command that lists the right ones."""
    try:
        yield
    except NotFoundError as error:
        if text == LATEST or not isinstance(error.__cause__, Exception):
            raise
        raise NotFoundError(
            f"{error}: {_lists(text, command, provider)}",
            code=error.code,
            request_id=error.request_id,
        ) from error


def _lists(text: str, command: str, provider: Provider) -> str:
    items = command.split()[1].replace("-", " ")
    if provider == "openai" or text.startswith((JOB_PREFIX, MODEL_PREFIX, PREFIX)):
        return f"`{command} --provider openai` lists the {items} at OpenAI"
    if (arn := Arn.parse(text)) is not None:
        return f"`{command} --region {arn.region}` lists the {items} in the region of the ARN"
    return f"`{command}` lists the {items} in this region; for another region, add --region"


def _full_id(
    text: str, infos: Callable[[], Iterable[_Info]], provider: Provider, *, missing: str
) -> str:
    """Return the full id that a text means, among the listed items; the text itself if it matches no item."""
    if text == LATEST:
        dated = [(info.created, info.id) for info in infos() if info.created]
        if not dated:
            place = "the project at OpenAI" if provider == "openai" else "this region"
            raise NotFoundError(f"`{LATEST}` not found: {place} has {missing}")
        return max(dated)[1]
    if not _SHORT.fullmatch(text):
        return text
    matches = []
    for info in infos():
        if text in (info.name, short_id(info.id)):
            return info.id
        if short_id(info.id).startswith(text):
            matches.append(info.id)
    if len(matches) > 1:
        starts = ", ".join(map(short_id, matches))
        raise click.UsageError(f"the short id {text!r} is ambiguous: {starts}")
    return matches[0] if matches else text
