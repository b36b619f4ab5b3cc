"""The environment variables that decide which services are called, and with whose credentials.

A process may change them: a test that enters the sandbox does. What was resolved from one environment must not be
completed from another one, or a job of the sandbox would go on in a real account.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIXES = ("AWS_", "BEDROCK_", "DSPY_BEDROCK_", "OPENAI_", "TUNESTACK_")
_NAMES = frozenset({"HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
# Those of `_PREFIXES` that decide where a request goes; credentials are not among them, for they may be renewed.
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "OPENAI_BASE_URL")
_FILES = ("AWS_CONFIG_FILE", "AWS_DEFAULT_PROFILE", "AWS_PROFILE")


def snapshot() -> Mapping[str, str]:
    """Return a copy of the variables that AWS's, OpenAI's and Tunestack's settings are read from."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_PREFIXES) or name.upper() in _NAMES
    }


def require_same_endpoints(before: Mapping[str, str]) -> None:
    """Refuse to create a client when requests would go elsewhere than those of the clients that exist already.

    Args:
        before: the `snapshot` that those were created in.

    Raises:
        ConfigError: the environment names other endpoints, or another configuration file or profile.
    """
    now = snapshot()
    changed = sorted(
        name
        for name in before.keys() | now.keys()
        if name.startswith((*_ENDPOINTS, *_FILES)) and before.get(name) != now.get(name)
    )
    if changed:
        raise ConfigError(
            f"the environment has changed since this object was created ({', '.join(changed)}): "
            "create it again, e.g. with Tuner().job(...) or Tuner().endpoint(...)"
        )
