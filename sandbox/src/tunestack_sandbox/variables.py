"""The environment variables that lead out of the sandbox, and how they are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIXES = (
    "AWS_",
    "AZURE_API_",
    "AZURE_OPENAI_",
    "BEDROCK_",
    "CDK_DEFAULT_",
    "DSPY_BEDROCK_",
    "OPENAI_",
    "TUNESTACK_",
)
"""Variables that begin like this could lead to a real account, or to another deployment."""

PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
"""Proxies that a client may use; tools read them in upper or in lower case."""

UNSET = (
    "ALL_PROXY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CA_BUNDLE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_ENDPOINT",
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "all_proxy",
)
"""Variables that take precedence over those of the sandbox, removed wherever its environment is used, set or not."""

# What a program needs to run; nothing of it leads anywhere.
_NEUTRAL = ("LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TZ")
_NEUTRAL_PREFIXES = ("COV_", "COVERAGE_", "LC_")


def without_accounts(environment: Mapping[str, str]) -> dict[str, str]:
    """Copy an environment without what could lead to a real account."""
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(PREFIXES) and name.upper() not in PROXIES
    }


def neutral(environment: Mapping[str, str]) -> dict[str, str]:
    """Copy of an environment only what a program needs to run: for code of somebody else, such as Lambda functions."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NEUTRAL or name.startswith(_NEUTRAL_PREFIXES)
    }


def unset_matching(form: str) -> str:
    """Return a line for a shell that removes every variable with one of the `PREFIXES`, by the environment it runs in.

    Args:
        form: `sh` or `powershell`.
    """
    names = "|".join(name.removesuffix("_") for name in PREFIXES)
    if form == "sh":
        # zsh and dash complain about `unset` without a name: the first one is always given.
        return f"unset ALL_PROXY $(env | sed -nE 's/^(({names})_[A-Za-z0-9_]*)=.*/\\1/p')"
    return f"Get-ChildItem Env: | Where-Object Name -Match '^({names})_' | Remove-Item"
