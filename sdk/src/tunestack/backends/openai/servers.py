"""Which server an OpenAI client calls: OpenAI itself, one that is not supported, or another OpenAI-compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENAI = "api.openai.com"
ORGANIZATION_HEADER = "openai-organization"
"""A header of OpenAI's responses, which gateways forward (API reference, "Debugging requests")."""

_AZURE = (
    "Azure OpenAI is not supported: a model that is fine-tuned there can only be invoked after it was deployed with Azure's "
    "management API, and the deployment is billed by the hour. Use Azure's SDK, or fine-tune a model on Bedrock or at OpenAI"
)
_MANTLE = (
    "the OpenAI-compatible API of Bedrock (bedrock-mantle) is not supported: AWS documents only reinforcement fine-tuning "
    "there. Use a model on Bedrock by its name, such as 'nova-micro'"
)
_UNSUPPORTED: Mapping[str, str] = {
    ".openai.azure.com": _AZURE,
    ".openai.azure.us": _AZURE,
    ".cognitiveservices.azure.com": _AZURE,
    ".services.ai.azure.com": _AZURE,
    ".api.aws": _MANTLE,
}


def require_supported(base_url: object) -> None:
    """Raise `ConfigError` if jobs of this server can't be supported, before anything is sent to it."""
    host = _host(base_url)
    for ending, message in _UNSUPPORTED.items():
        if host.endswith(ending):
            raise ConfigError(f"{message} ({host})")


def is_openai(base_url: object) -> bool:
    """Return whether this is OpenAI's own API, also in a region (`eu.api.openai.com`)."""
    host = _host(base_url)
    return host == _OPENAI or host.endswith(f".{_OPENAI}")


def _host(base_url: object) -> str:
    return (urlsplit(str(base_url)).hostname or "").lower()
