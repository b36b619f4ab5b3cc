"""Create clients for OpenAI or an OpenAI-compatible server; the openai package is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack._utils.extras import missing_extra
from tunestack.errors import AccessError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI as Client


def client_settings(client: Client) -> dict[str, str]:
    """Return the settings of a client, without the key, for `create_client`."""
    settings = {
        "base_url": str(client.base_url),
        "organization": client.organization,
        "project": client.project,
    }
    return {name: value for name, value in settings.items() if value is not None}


def create_client(settings: Mapping[str, str]) -> Client:
    """Create a client; settings that are not specified are read from the environment.

    Args:
        settings: arguments of `openai.OpenAI`.

    Raises:
        AccessError: there is no key.
        ConfigError: the base URL is invalid.
        MissingExtraError: the openai package is not installed.
    """
    try:
        import openai  # noqa: PLC0415 - takes longer to load than all else
    except ModuleNotFoundError as error:
        raise missing_extra("openai", error) from error
    arguments: dict[str, Any] = dict(settings)
    try:
        return openai.OpenAI(**arguments)
    except openai.OpenAIError as error:
        raise AccessError(
            "no key for OpenAI: set OPENAI_API_KEY, or pass openai=openai.OpenAI(api_key=...)"
        ) from error
    # The class depends on the HTTP library, which differs between versions of the openai package.
    except Exception as error:
        base_url = settings.get("base_url", "")
        raise ConfigError(f"invalid base URL {base_url!r}: {error}") from error


def restore_client(settings: Mapping[str, str] | None) -> Client | None:
    """Create the client of an unpickled object, with the key in the environment; `None` if it had none."""
    return None if settings is None else create_client(settings)
