"""Whose a model, a job or an endpoint is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack import catalog
from tunestack.arguments import checked_id
from tunestack.errors import ConfigError, shortened

if TYPE_CHECKING:
    from tunestack.accounts.account import Account
    from tunestack.accounts.aws import AwsAccount
    from tunestack.accounts.openai import OpenAIProject

BEDROCK, OPENAI = "bedrock", "openai"
"""The providers, as the catalog calls them."""


class Accounts:
    """The accounts that one caller works with."""

    def __init__(self, aws: AwsAccount, openai: OpenAIProject) -> None:
        """Take both; nothing is called before it is needed."""
        self.aws = aws
        self.openai = openai

    def named(self, provider: object) -> Account:
        """Return that of a provider.

        Raises:
            ConfigError: there is no such provider.
        """
        if provider == OPENAI:
            return self.openai
        if provider == BEDROCK:
            return self.aws
        raise ConfigError(
            f"there is no provider {shortened(provider)}: use {BEDROCK!r} or {OPENAI!r}"
        )

    def of_model(self, model: str) -> Account:
        """Tell where a model is tuned, by its name."""
        account: Account
        for account in (self.openai, self.aws):
            if account.owns(model):
                return account
        base = catalog.find(model)
        return self.named(BEDROCK if base is None else base.provider)

    def of_id(self, kind: str, identifier: object) -> tuple[Account, str]:
        """Return the account of a job, an endpoint or a fine-tuned model, and its id there.

        Raises:
            ConfigError: it is not an id of this kind.
        """
        text = checked_id(kind, identifier)
        account: Account = self.openai if self.openai.owns(text) else self.aws
        return account, account.checked_id(kind, text)
