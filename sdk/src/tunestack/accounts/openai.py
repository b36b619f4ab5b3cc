"""A project at OpenAI, or at any server that speaks its fine-tuning API."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.accounts.account import Target
from tunestack.arguments import OWN_TAGS
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

_PREFIX = "openai/"
_JOBS, _TUNED = "ftjob-", "ft:"
_TAGS = {f"{OWN_TAGS}managed-by": "tunestack"}


class OpenAIProject:
    """`tunestack.accounts.account.Account` at OpenAI; nothing is imported or called before it is needed."""

    def __init__(self, client: Client | None, *, poll: Poll) -> None:
        """Take who calls.

        Args:
            client: the openai package's; made of the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_ORG_ID`,
                `OPENAI_PROJECT_ID`) if not given.
            poll: how to wait.
        """
        self.given = client
        self._poll = poll

    @cached_property
    def _client(self) -> Client:
        if self.given is not None:
            return self.given
        return client_of({})

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
        OpenAIProject.__init__(self, None if said is None else client_of(said), poll=state["poll"])

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
            catalog.require_living(base, on=self._provider.now().date(), said=said)
        tuned = identifier.startswith(_TUNED) or base.vendor == "unknown"
        return Target(
            base=base,
            identifier=identifier if tuned else base.customization_id,
            provider=self._provider,
            tags=_TAGS,
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
