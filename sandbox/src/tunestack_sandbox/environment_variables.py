"""Environment variables that could lead to a real account, and their removal."""

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
"""The prefixes of variables that could lead to a real account, or to another deployment."""

PROXY_VARIABLES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")
"""Variables that name a proxy; clients read them in upper or in lower case."""

REMOVED_VARIABLES = (
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
"""Variables that take precedence over those of the sandbox. Shells remove them in any case, whether they are set or not."""

# Variables that programs need to run, none of which leads to an account.
_NEUTRAL_VARIABLES = ("LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TZ")
_NEUTRAL_PREFIXES = ("COV_", "COVERAGE_", "LC_")


def without_accounts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that could lead to a real account."""
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(PREFIXES) and name.upper() not in PROXY_VARIABLES
    }


def select_neutral(environment: Mapping[str, str]) -> dict[str, str]:
    """Return only the variables that a program needs to run, for foreign code such as Lambda functions."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NEUTRAL_VARIABLES or name.startswith(_NEUTRAL_PREFIXES)
    }


def build_unset_command(shell: str) -> str:
    """Return a shell command that removes all variables of its environment that have one of the `PREFIXES`.

    Args:
        shell: `sh` or `powershell`.
    """
    names = "|".join(name.removesuffix("_") for name in PREFIXES)
    if shell == "sh":
        # `unset` without a name is an error in zsh and dash, so there is always one.
        return f"unset ALL_PROXY $(env | sed -nE 's/^(({names})_[A-Za-z0-9_]*)=.*/\\1/p')"
    return f"Get-ChildItem Env: | Where-Object Name -Match '^({names})_' | Remove-Item"
