"""Decide which provider a model, a job or an endpoint belongs to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from tunestack import catalog
from tunestack.backends.base import Checks
from tunestack.backends.bedrock.account import BedrockAccount
from tunestack.backends.openai.project import OpenAIProject
from tunestack.environment import snapshot
from tunestack.errors import ConfigError, shortened
from tunestack.spec.arguments import check_id, check_type

if TYPE_CHECKING:
    import boto3
    from openai import OpenAI

    from tunestack.backends.base import Check
    from tunestack.backends.identifiers import IdKind
    from tunestack.backends.protocols import Account
    from tunestack.deployment import Deployment
    from tunestack.polling import Poll

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

    def preflight(self, model: str | None, provider: Provider | None) -> list[Check]:
        """Check what can be known before money is spent, for a base model by any of its names; see `Tuner.preflight`.

        Raises:
            ModelError: the model is unknown.
            ConfigError: the provider is unknown.
        """
        base = None if model is None else catalog.get(check_type("model", model, str))
        named = provider or (BEDROCK if base is None else base.provider)
        return Checks(self.of_provider(named).preflight(base, model))

    def of_id(self, kind: IdKind, identifier: object) -> tuple[Account, str]:
        """Return the account of a job, an endpoint or a fine-tuned model, and its id there.

        Raises:
            ConfigError: it is not an id of this kind.
        """
        text = check_id(kind, identifier)
        account: Account = self.openai if self.openai.owns(text) else self.bedrock
        return account, account.check_id(kind, text)


class AccountResolver:
    """Resolves the accounts of a caller from the environment, and again when it has changed."""

    def __init__(
        self,
        *,
        stage: str | None,
        region: str | None,
        deployment: Deployment | None,
        session: boto3.Session | None,
        openai: OpenAI | None,
        poll: Poll,
    ) -> None:
        """Resolve the accounts; the arguments are those of `Tuner`.

        Raises:
            ConfigError: the AWS profile or configuration file is invalid.
        """
        self._new_bedrock_account = partial(
            BedrockAccount, stage=stage, region=region, deployment=deployment, session=session
        )
        self._new_openai_project = partial(OpenAIProject, openai, poll=poll)
        self._is_bound = False
        self._environment = snapshot()
        self._accounts = self._resolve()

    @property
    def accounts(self) -> Accounts:
        """The accounts of the present environment, or of the one that `bind` kept."""
        now = self._environment if self._is_bound else snapshot()
        if now != self._environment:
            self._environment = now
            self._accounts = self._resolve()
        return self._accounts

    def bind(self, model: str) -> Self:
        """Return a resolver that keeps the present environment; its clients for a model are created now."""
        self.accounts.of_model(model).connect(model)
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, _is_bound=True)
        return bound

    def _resolve(self) -> Accounts:
        return Accounts(
            self._new_bedrock_account(environment=self._environment),
            self._new_openai_project(self._environment),
        )


class TunerBase:
    """Base class of the parts of `Tuner`: has the accounts of the caller, and how to wait."""

    def __init__(self, resolver: AccountResolver, poll: Poll) -> None:
        """Store the arguments."""
        self._resolver = resolver
        self._poll = poll

    @property
    def _accounts(self) -> Accounts:
        return self._resolver.accounts
