"""Credentials that an LM has of its own, and the LM that DSPy fine-tunes, which it passes to no provider."""

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
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
# litellm 1.106 takes these for Bedrock; an API key, a role or a gateway serves calls of the model, and no fine-tuning.
_CALLS_ONLY = (
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
_OPENAI = {"api_key": "api_key", "api_base": "base_url", "base_url": "base_url"}


def lm_of(thread: threading.Thread | None) -> dspy.LM | None:
    """Return the LM that a thread of `dspy.LM.finetune` is about to fine-tune; `None` where it can't be found.

    DSPy 3.3 and 3.4 pass the provider only the model's name. The function that the thread runs refers to the LM.
    """
    target: Any = getattr(thread, "_target", None)
    names = getattr(getattr(target, "__code__", None), "co_freevars", ())
    for name, cell in zip(names, getattr(target, "__closure__", None) or (), strict=True):
        if name == "self" and isinstance(cell.cell_contents, dspy.LM):
            return cell.cell_contents
    return None


def on_aws(tuner: Tuner, lm: dspy.LM | None, *, only_known: bool = False) -> Tuner:
    """Return a tuner that uses the credentials that an LM has of its own, if any.

    A session that was passed to the tuner wins: the caller has chosen it for fine-tuning.

    Args:
        tuner: the provider's.
        lm: the LM.
        only_known: ignore credentials that can't be used, instead of raising.

    Raises:
        ConfigError: the LM has credentials that fine-tuning can't use.
    """
    given = _given(lm)
    if tuner.session is not None or not given:
        return tuner
    calls_only = [name for name in _CALLS_ONLY if name in given]
    if calls_only and not only_known:
        raise ConfigError(
            f"the LM has {', '.join(calls_only)} of its own, which fine-tuning can't use, and other credentials would be used "
            "without a word: pass those for fine-tuning to the provider, "
            "BedrockProvider(session=boto3.Session(profile_name=...))"
        )
    keys = {name: given[name] for name in _KEYS if name in given}
    profile = given.get(PROFILE)
    if calls_only or not (keys or profile):
        return tuner
    missing = [name for name in _KEYS[:2] if keys and name not in keys]
    if missing:
        if only_known:
            return tuner
        raise ConfigError(
            f"the LM has {', '.join(keys)}, and no {missing[0]}: pass both, or neither"
        )
    with translate_errors("using the AWS credentials of the LM"):
        session = boto3.Session(profile_name=profile, **keys)
    return tuner.with_credentials(session=session)


def at_openai(tuner: Tuner, lm: dspy.LM | None) -> Tuner:
    """Return a tuner that uses the key and the server that an LM has of its own, if any, unless a client was passed."""
    given = _given(lm)
    own = {name: given[key] for key, name in _OPENAI.items() if key in given}
    own |= {name: given[name] for name in ("organization", "project") if name in given}
    if tuner.openai is not None or not own:
        return tuner
    return tuner.with_credentials(openai=create_client(own))


def settings_of(tuner: Tuner) -> dict[str, str]:
    """Return the settings by which an LM calls with the profile of a tuner's session.

    Keys are not among them: DSPy would save them with a program.
    """
    session = tuner.session
    profile = session.profile_name if session is not None else None
    return {} if profile in (None, "default") else {PROFILE: str(profile)}


def use(lm: dspy.LM, settings: Mapping[str, str]) -> None:
    """Let an LM call with these settings, and with no other credentials of its own."""
    if settings:
        for name in (PROFILE, *_KEYS, *_CALLS_ONLY):
            lm.kwargs.pop(name, None)
        lm.kwargs.update(settings)


def _given(lm: dspy.LM | None) -> dict[str, Any]:
    kwargs = {} if lm is None else lm.kwargs
    return {name: value for name, value in kwargs.items() if value not in (None, "")}
