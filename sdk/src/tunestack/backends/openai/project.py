"""A project at OpenAI, or at a server with its API: resolves models, jobs and endpoints."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.backends.identifiers import IdKind
from tunestack.backends.model_check import check_model
from tunestack.backends.openai.client import client_settings, create_client, restore_client
from tunestack.backends.openai.identifiers import (
    JOB_PREFIX,
    MODEL_PREFIX,
    PREFIX,
    check_openai_id,
)
from tunestack.backends.openai.offline import resolve_offline
from tunestack.backends.openai.servers import is_openai, require_supported
from tunestack.backends.protocols import Backend, DataStore, Target
from tunestack.environment import require_same_endpoints, snapshot
from tunestack.errors import TunestackError
from tunestack.spec.arguments import OWN_TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI

    from tunestack.backends.base import Check
    from tunestack.backends.openai.backend import OpenAIBackend
    from tunestack.catalog import BaseModel
    from tunestack.polling import Poll

_TAGS = {f"{OWN_TAGS}managed-by": "tunestack"}


class OpenAIProject:
    """`tunestack.backends.protocols.Account` at OpenAI; nothing is imported or called before it is needed.

    Attributes:
        client: the client that was passed, if any.
    """

    def __init__(
        self, client: OpenAI | None, environment: Mapping[str, str], *, poll: Poll
    ) -> None:
        """Store the client; no call is made here.

        Args:
            client: of the openai package; created from the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`,
                `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID`) if not given.
            environment: the variables, as they are now.
            poll: how to wait.
        """
        self.client = client
        self._environment = environment
        self._poll = poll

    @property
    def arguments(self) -> dict[str, str] | None:
        """The settings of the client that was passed, without the key; `None` if none was."""
        return None if self.client is None else client_settings(self.client)

    def owns(self, identifier: str) -> bool:
        """Return whether this is an id of OpenAI, or of another server with `openai/` before it."""
        return identifier.startswith((PREFIX, JOB_PREFIX, MODEL_PREFIX))

    def check_id(self, kind: IdKind, identifier: str) -> str:
        """Return the id without `openai/`; raise ConfigError if it can't be the id of this kind of resource."""
        return check_openai_id(kind, identifier)

    def resolve(self, model: str) -> Target[Backend]:
        """Find a model; one that is not in the catalog may be another server's own."""
        identifier = check_openai_id(IdKind.SOURCE, model)
        known = catalog.find(identifier)
        is_unknown = known is None or known.provider != "openai"
        if is_unknown and self._backend.serves(identifier):
            base = catalog.unknown(identifier)
        else:
            today = self._backend.now().date()
            base = catalog.require(identifier, on=today, provider="openai")
            state = self._backend.lifecycle(base)
            if state is not None or self._backend.has_catalog_dates:
                # By the server's clock, which is known from its answer.
                catalog.require_living(base, on=self._backend.now().date(), service_state=state)
        is_fine_tuned = identifier.startswith(MODEL_PREFIX) or base.publisher == "unknown"
        return Target(
            base=base,
            identifier=identifier if is_fine_tuned else base.customization_id,
            backend=self._backend,
            tags=_TAGS,
        )

    def resolve_offline(self, model: str) -> Target[DataStore]:
        """Find a model in the catalog; see `openai.offline`. Needs neither a key nor the openai package."""
        base_url = (
            self._environment.get("OPENAI_BASE_URL")
            if self.client is None
            else self.client.base_url
        )
        require_supported(base_url)
        return resolve_offline(
            check_openai_id(IdKind.SOURCE, model),
            is_other_server=bool(base_url) and not is_openai(base_url),
        )

    def connect(self, model: str) -> None:  # noqa: ARG002 - one client serves all models
        """Create the client; no error is raised here."""
        with suppress(TunestackError):
            self._connected_client  # noqa: B018 - creates it

    def backend(self, identifier: str | None = None) -> OpenAIBackend:  # noqa: ARG002 - there is one
        """Return the backend of the project."""
        return self._backend

    def explain(self, identifier: str) -> AbstractContextManager[None]:  # noqa: ARG002 - part of the protocol
        """Do nothing: an id at OpenAI does not have its project."""
        return nullcontext()

    def endpoint_tags(self, job_id: str) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return no tags: models have none."""
        return {}

    def preflight(self, model: BaseModel | None, name: str | None = None) -> list[Check]:  # noqa: ARG002 - of the protocol
        """Check the key and the model."""
        results = list(self._backend.checks(model))
        if model is None or len(results) == 1:
            return results
        return [*results, check_model(self._backend, model, None)]

    def __getstate__(self) -> dict[str, object]:
        """Keep the settings of the client, and leave out the key and the client."""
        return {"arguments": self.arguments, "poll": self._poll}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Create the client again, with the key in the environment."""
        client = restore_client(state["arguments"])
        OpenAIProject.__init__(self, client, snapshot(), poll=state["poll"])

    @cached_property
    def _connected_client(self) -> OpenAI:
        if self.client is None:
            require_same_endpoints(self._environment)
        client = create_client({}) if self.client is None else self.client
        require_supported(client.base_url)
        return client

    @cached_property
    def _backend(self) -> OpenAIBackend:
        client = self._connected_client  # raises MissingExtraError if the package is not installed
        from tunestack.backends.openai.backend import OpenAIBackend  # noqa: PLC0415

        return OpenAIBackend(client, poll=self._poll)
