"""Decide which provider a model, a job or an endpoint belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tunestack import catalog
from tunestack.errors import ConfigError, shortened
from tunestack.spec.arguments import check_id

if TYPE_CHECKING:
    from tunestack.backends.bedrock.account import BedrockAccount
    from tunestack.backends.identifiers import IdKind
    from tunestack.backends.openai.project import OpenAIProject
    from tunestack.backends.protocols import Account

Provider = Literal["bedrock", "openai"]

BEDROCK: Provider = "bedrock"
OPENAI: Provider = "openai"


class Accounts:
    """The AWS account and the OpenAI project of one caller."""

    def __init__(self, bedrock: BedrockAccount, openai: OpenAIProject) -> None:
        """Store both; nothing is called before it is needed."""
        self.bedrock = bedrock
        self.openai = openai

    def of_provider(self, provider: object) -> Account:
        """Return the account of a provider.

        Raises:
            ConfigError: the provider is unknown.
        """
        if provider == OPENAI:
            return self.openai
        if provider == BEDROCK:
            return self.bedrock
        raise ConfigError(f"unknown provider {shortened(provider)}: use {BEDROCK!r} or {OPENAI!r}")

    def of_model(self, model: str) -> Account:
        """Return the account in which a model is fine-tuned."""
        account: Account
        for account in (self.openai, self.bedrock):
            if account.owns(model):
                return account
        base = catalog.find(model)
        return self.of_provider(BEDROCK if base is None else base.provider)

    def of_id(self, kind: IdKind, identifier: object) -> tuple[Account, str]:
        """Return the account of a job, an endpoint or a fine-tuned model, and its id there.

        Raises:
            ConfigError: it is not an id of this kind.
        """
        text = check_id(kind, identifier)
        account: Account = self.openai if self.openai.owns(text) else self.bedrock
        return account, account.check_id(kind, text)
