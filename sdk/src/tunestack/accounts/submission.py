"""Check the arguments of `Tuner.submit` and `Tuner.cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

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
from tunestack.hyperparameters import resolve
from tunestack.submitting import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tunestack.records.source import Source

AnyTarget = TypeVar("AnyTarget", Target, CatalogTarget)


def checked_submission(
    model: object,
    data: Source,
    *,
    find_target: Callable[[str], AnyTarget],
    data_format: str | None,
    hyperparameters: Mapping[str, object] | None,
    validation_data: Source | None,
    record_format: str | None,
    on_loss: str,
    ignore: Collection[str],
    s3_path: str | None,
    name: str,
    tags: Mapping[str, str] | None,
    rerun: bool,
    max_cost: float | None,
    method: str | None,
    seed: int | None,
    suffix: str | None,
) -> tuple[AnyTarget, Submission]:
    """Check everything about a job except its data; the arguments are those of `Tuner.submit`.

    `find_target` finds the model, and is called after the checks that need no model.

    Raises:
        ConfigError: an argument is invalid; see `Tuner.submit`.
    """
    method, record_format = checked_method(method, record_format)
    tags = checked_tags({} if tags is None else tags)
    rerun = checked("rerun", rerun, bool)
    max_cost = None if max_cost is None else checked_most(max_cost)
    seed, suffix = checked_seed(seed), checked_suffix(suffix)
    name = checked_name(name)
    location = checked_location(s3_path, several=validation_data is not None)
    target = find_target(checked("model", model, str))
    base = target.base
    values = resolve(base, {} if hyperparameters is None else hyperparameters)
    require_possible(base.provider, values, method=method, seed=seed, suffix=suffix)
    if location is not None:
        target.provider.check_location(location)
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
    )
