"""Make the client that calls OpenAI, or a server that speaks its API; imports the openai package on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack._utils.extras import missing_extra
from tunestack.errors import AccessError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI as Client


def specified(client: Client) -> dict[str, str]:
    """Return what `client_of` makes an equal client of, without the key."""
    found = {
        "base_url": str(client.base_url),
        "organization": client.organization,
        "project": client.project,
    }
    return {name: value for name, value in found.items() if value is not None}


def client_of(said: Mapping[str, str]) -> Client:
    """Make a client, of what is said and for the rest of the environment.

    Raises:
        AccessError: there is no key.
        ConfigError: the base URL is none.
        MissingExtraError: the openai package is not installed.
    """
    try:
        import openai  # noqa: PLC0415 - takes longer to load than all else
    except ModuleNotFoundError as error:
        raise missing_extra("openai", error) from error
    arguments: dict[str, Any] = dict(said)
    try:
        return openai.OpenAI(**arguments)
    except openai.OpenAIError as error:
        raise AccessError(
            "no key for OpenAI: set OPENAI_API_KEY, or pass openai=openai.OpenAI(api_key=...)"
        ) from error
    # Of the package's HTTP library, which is another in each of its versions.
    except Exception as error:
        where = said.get("base_url", "")
        raise ConfigError(f"base URL {where!r} is not possible: {error}") from error
