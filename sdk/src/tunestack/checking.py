"""Check the arguments of `Tuner.submit`, before any data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

from tunestack.accounts.account import Target
from tunestack.accounts.catalog_target import CatalogTarget
from tunestack.arguments import (
    OWN_TAGS,
    checked,
    checked_location,
    checked_method,
    checked_name,
    checked_seed,
    checked_suffix,
    checked_tags,
    require_possible,
)
from tunestack.cost import checked_most
from tunestack.errors import ConfigError
from tunestack.hyperparameters import resolve
from tunestack.records.target import Target as RecordTarget
from tunestack.submitting import Submission, queue_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import timedelta

    from tunestack.records.source import Source

AnyTarget = TypeVar("AnyTarget", Target, CatalogTarget)


class SubmitArguments(TypedDict, total=False):
    """The arguments of `Tuner.submit`, but for the model and its data."""

    data_format: str | None
    hyperparameters: Mapping[str, object] | None
    validation_data: Source | None
    record_format: str | None
    on_loss: str
    ignore: Collection[str]
    s3_path: str | None
    name: str
    tags: Mapping[str, str] | None
    rerun: bool
    max_cost: float | None
    method: str | None
    seed: int | None
    suffix: str | None
    queue: bool | float | timedelta


def resolve_submission(
    find_target: Callable[[str], AnyTarget],
    model: str,
    data: Source,
    *,
    data_format: str | None = None,
    hyperparameters: Mapping[str, object] | None = None,
    validation_data: Source | None = None,
    record_format: str | None = None,
    on_loss: str = "error",
    ignore: Collection[str] = (),
    s3_path: str | None = None,
    name: str = "tunestack",
    tags: Mapping[str, str] | None = None,
    rerun: bool = False,
    max_cost: float | None = None,
    method: str | None = None,
    seed: int | None = None,
    suffix: str | None = None,
    queue: bool | float | timedelta = False,
) -> tuple[AnyTarget, Submission]:
    """Find where a model is fine-tuned, and check all arguments against it; `data` is not read.

    `find_target` finds the model, after the checks that need none.

    Raises:
        ConfigError: an argument is invalid; see `Tuner.submit` for its kinds.
        ProviderError: the provider refused or failed.
    """
    method, record_format = checked_method(method, record_format)
    name = checked_name(name)
    location = checked_location(s3_path, several=validation_data is not None)
    tags = checked_tags({} if tags is None else tags)
    seed, suffix, timeout = checked_seed(seed), checked_suffix(suffix), queue_timeout(queue)
    rerun = checked("rerun", rerun, bool)
    max_cost = None if max_cost is None else checked_most(max_cost)
    target = find_target(checked("model", model, str))
    base = target.base
    values = resolve(base, {} if hyperparameters is None else hyperparameters)
    require_possible(base.provider, values, method=method, seed=seed, suffix=suffix)
    if location is not None:
        target.provider.check_location(location)
    if validation_data is not None and not base.limits.validation_set:
        raise ConfigError(f"{base.name} takes no validation data: leave validation_data out")
    # Raises what `prepare` would raise of these, once it has the data.
    RecordTarget.of(
        base, source=data_format, record_format=record_format, on_loss=on_loss, ignore=ignore
    )
    tags = {**tags, **target.tags, f"{OWN_TAGS}base-model": base.key}
    target.provider.check_tags(tags)
    return target, Submission(
        model=base,
        identifier=target.identifier,
        hyperparameters=values,
        data=data,
        validation_data=validation_data,
        data_format=data_format,
        record_format=record_format,
        on_loss=on_loss,
        ignore=ignore,
        location=location,
        name=name,
        output=target.output,
        owner=target.owner,
        tags=tags,
        rerun=rerun,
        max_cost=max_cost,
        method=method,
        seed=seed,
        suffix=suffix,
        queue=timeout,
    )
