"""The credentials of an LM, and access to the LM that DSPy fine-tunes, which DSPy does not pass to the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import dspy

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.openai.client import create_client
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from tunestack.tuner import Tuner

PROFILE = "aws_profile_name"
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
# litellm 1.106 accepts these for Bedrock. An API key, a role or a gateway can invoke the model, but not fine-tune it.
_INVOKE_ONLY = (
    "api_key",
    "api_base",
    "base_url",
    "aws_bearer_token",
    "aws_bearer_token_bedrock",
    "aws_role_name",
    "aws_session_name",
    "aws_web_identity_token",
    "aws_sts_endpoint",
    "aws_external_id",
)
_OPENAI_SETTINGS = {
    "api_key": "api_key",
    "api_base": "base_url",
    "base_url": "base_url",
    "organization": "organization",
    "project": "project",
}
"""The settings of an LM, with the arguments of `openai.OpenAI`. A later one overrides an earlier one."""


def lm_of_thread(thread: threading.Thread | None) -> dspy.LM | None:
    """Return the LM that a thread of `dspy.LM.finetune` fine-tunes, or `None` if it can't be found.

    DSPy 3.3 and 3.4 pass only the model's name to the provider. The function that the thread runs refers to the LM.
    """
    target: Any = getattr(thread, "_target", None)
    names = getattr(getattr(target, "__code__", None), "co_freevars", ())
    for name, cell in zip(names, getattr(target, "__closure__", None) or (), strict=True):
        if name == "self" and isinstance(cell.cell_contents, dspy.LM):
            return cell.cell_contents
    return None


def with_aws_credentials(
    tuner: Tuner, lm: dspy.LM | None, *, ignore_unusable: bool = False
) -> Tuner:
    """Return a tuner that uses the AWS credentials of an LM, if the LM has any.

    A session that was passed to the tuner takes precedence: the caller has chosen it for fine-tuning.

    Args:
        tuner: the tuner of the provider.
        lm: the LM.
        ignore_unusable: ignore credentials that can't be used for fine-tuning, instead of raising an error.

    Raises:
        ConfigError: the LM has credentials that can't be used for fine-tuning.
    """
    settings = _settings_of(lm)
    if tuner.session is not None or not settings:
        return tuner
    invoke_only = [name for name in _INVOKE_ONLY if name in settings]
    if invoke_only and not ignore_unusable:
        raise ConfigError(
            f"the LM has {', '.join(invoke_only)}, which can't be used for fine-tuning, and other credentials would be used "
            "silently: pass the credentials for fine-tuning to the provider, "
            "BedrockProvider(session=boto3.Session(profile_name=...))"
        )
    keys = {name: settings[name] for name in _AWS_KEYS if name in settings}
    profile = settings.get(PROFILE)
    if invoke_only or not (keys or profile):
        return tuner
    missing = [name for name in _AWS_KEYS[:2] if keys and name not in keys]
    if missing:
        if ignore_unusable:
            return tuner
        raise ConfigError(
            f"the LM has {', '.join(keys)}, but no {missing[0]}: pass both or neither"
        )
    with translate_errors("using the AWS credentials of the LM"):
        session = boto3.Session(profile_name=profile, **keys)
    return tuner.with_credentials(session=session)


def with_openai_credentials(tuner: Tuner, lm: dspy.LM | None) -> Tuner:
    """Return a tuner that uses the API key and the server of an LM, if it has any and no client was passed to the tuner."""
    settings = _settings_of(lm)
    client_settings = {
        argument: settings[name] for name, argument in _OPENAI_SETTINGS.items() if name in settings
    }
    if tuner.openai is not None or not client_settings:
        return tuner
    return tuner.with_credentials(openai=create_client(client_settings))


def profile_settings(tuner: Tuner) -> dict[str, str]:
    """Return the settings of an LM that uses the profile of the tuner's session.

    Keys are not included: DSPy would save them with a program.
    """
    session = tuner.session
    profile = session.profile_name if session is not None else None
    return {} if profile in (None, "default") else {PROFILE: str(profile)}


def replace_credentials(lm: dspy.LM, settings: Mapping[str, str]) -> None:
    """Replace all credentials of an LM by these settings, if there are any."""
    if settings:
        for name in (PROFILE, *_AWS_KEYS, *_INVOKE_ONLY):
            lm.kwargs.pop(name, None)
        lm.kwargs.update(settings)


def is_credential(name: str) -> bool:
    """Return whether an argument of an LM is a credential, or decides which server or region is called."""
    return name in _INVOKE_ONLY or name.startswith("aws_")


def _settings_of(lm: dspy.LM | None) -> dict[str, Any]:
    """Return the settings of an LM that have a value."""
    kwargs = {} if lm is None else lm.kwargs
    return {name: value for name, value in kwargs.items() if value not in (None, "")}
