"""A project at OpenAI, or at any server that speaks its fine-tuning API."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.accounts.account import Target
from tunestack.accounts.catalog_target import CatalogTarget, openai_target
from tunestack.arguments import OWN_TAGS
from tunestack.environment import require_same_endpoints, snapshot
from tunestack.errors import TunestackError
from tunestack.identifiers import SOURCE, openai_id
from tunestack.preflight import check_model
from tunestack.providers.openai_client import client_of, specified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI as Client

    from tunestack.catalog import BaseModel
    from tunestack.provider import Check
    from tunestack.providers.openai import OpenAI
    from tunestack.waiting import Poll

_HOST = "api.openai.com"
_PREFIX = "openai/"
_JOBS, _TUNED = "ftjob-", "ft:"
_TAGS = {f"{OWN_TAGS}managed-by": "tunestack"}


class OpenAIProject:
    """`tunestack.accounts.account.Account` at OpenAI; nothing is imported or called before it is needed."""

    def __init__(
        self, client: Client | None, environment: Mapping[str, str], *, poll: Poll
    ) -> None:
        """Keep the client; no call is made here.

        Args:
            client: the openai package's; made of the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_ORG_ID`,
                `OPENAI_PROJECT_ID`) if not given.
            environment: the variables, as they are now.
            poll: how to wait.
        """
        self.given = client
        self._environment = environment
        self._poll = poll

    @cached_property
    def _client(self) -> Client:
        if self.given is not None:
            return self.given
        require_same_endpoints(self._environment)
        return client_of({})

    def connect(self, model: str) -> None:  # noqa: ARG002 - one client serves all models
        """Create the client; no error is raised here."""
        with suppress(TunestackError):
            self._client  # noqa: B018 - creates it

    @property
    def said(self) -> dict[str, str] | None:
        """What was said of whom to call, without the key; `None` if nothing was."""
        return None if self.given is None else specified(self.given)

    def __getstate__(self) -> dict[str, object]:
        """Keep what was specified, and leave out the key and the client."""
        return {"said": self.said, "poll": self._poll}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the key again."""
        said = state["said"]
        client = None if said is None else client_of(said)
        OpenAIProject.__init__(self, client, snapshot(), poll=state["poll"])

    @cached_property
    def _provider(self) -> OpenAI:
        client = self._client  # which says what is missing, if the package is not installed
        from tunestack.providers.openai import OpenAI  # noqa: PLC0415 - the same

        return OpenAI(client, poll=self._poll)

    def owns(self, identifier: str) -> bool:
        """Tell by the prefix; the id of some other server's job is told by `openai/` before it."""
        return identifier.startswith((_PREFIX, _JOBS, _TUNED))

    def bare(self, identifier: str) -> str:
        """Take off `openai/`."""
        return identifier.removeprefix(_PREFIX)

    def checked_id(self, kind: str, identifier: str) -> str:
        """Return an id without `openai/`, if it can be one of a kind."""
        return openai_id(kind, self.bare(identifier))

    def target(self, model: str) -> Target:
        """Find the model; one that the catalog does not have may be another server's own."""
        identifier = openai_id(SOURCE, self.bare(model))
        known = catalog.find(identifier)
        theirs = known is None or known.provider != "openai"
        if theirs and self._provider.serves(identifier):
            base = catalog.unknown(identifier)
        else:
            today = self._provider.now().date()
            base = catalog.require(identifier, on=today, provider="openai")
            said = self._provider.lifecycle(base)
            # By the clock of whoever has just answered.
            catalog.require_living(base, on=self._provider.now().date(), service_state=said)
        tuned = identifier.startswith(_TUNED) or base.vendor == "unknown"
        return Target(
            base=base,
            identifier=identifier if tuned else base.customization_id,
            provider=self._provider,
            tags=_TAGS,
        )

    def catalog_target(self, model: str) -> CatalogTarget:
        """Find the model in the catalog; see `openai_target`. Needs neither a key nor the openai package."""
        given = (
            self._environment.get("OPENAI_BASE_URL") if self.given is None else self.given.base_url
        )
        return openai_target(
            openai_id(SOURCE, self.bare(model)),
            is_other_server=bool(given) and _HOST not in str(given),
        )

    def provider(self, identifier: str | None = None) -> OpenAI:  # noqa: ARG002 - there is one place
        """Return who has everything of the project."""
        return self._provider

    def tags(self, job_id: str) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Tell nothing: models have no tags."""
        return {}

    def preflight(self, model: BaseModel | None, name: str | None = None) -> list[Check]:  # noqa: ARG002 - the protocol's
        """Check the key and the model."""
        found = list(self._provider.checks(model))
        if model is None or len(found) == 1:
            return found
        return [*found, check_model(self._provider, model, None)]
