"""Custom models that were deleted while their jobs are still listed."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError, NotFoundError, ProviderError
from tunestack.polling import wait_until_visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.base import JobInfo
    from tunestack.backends.protocols import Backend
    from tunestack.polling import Poll

logger = logging.getLogger(__name__)


def has_lost_model(backend: Backend, job: JobInfo, *, poll: Poll) -> bool:
    """Return whether the custom model of a succeeded job was deleted.

    Only the provider's own "not found", repeated for some seconds because a new model may not be visible at once, counts.
    Whatever else keeps the model from being read (permissions, throttling, the network) does not: another job is billed.
    """
    if job.model is None:
        return False
    try:
        exists = wait_until_visible(partial(backend.custom_model, job.model), poll=poll) is not None
    except (ProviderError, ConfigError) as error:
        logger.warning(
            "job %s is returned, but whether its custom model %s still exists is unknown: %s",
            *(job.name, job.model, error),
        )
        return False
    return not exists


@contextmanager
def explain_deleted_model(backend: Backend, model: str) -> Iterator[None]:
    """Explain a `NotFoundError` that was raised because the custom model was deleted."""
    try:
        yield
    except NotFoundError as error:
        try:
            backend.custom_model(model)
        except NotFoundError:
            raise NotFoundError(
                f"custom model {model!r} does not exist, it was probably deleted: submit the same data again to train "
                "another one, in a new job that is billed; `tunestack custom-models list` shows the existing models",
                code=error.code,
                request_id=error.request_id,
            ) from error
        except (ProviderError, ConfigError):
            logger.debug("whether custom model %s exists is unknown", model)
        raise
