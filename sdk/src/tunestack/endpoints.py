"""One endpoint: how a tuned model answers, until it is gone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from tunestack.arguments import checked_id
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack.errors import (
    ConfigError,
    ConflictError,
    EndpointFailedError,
    EndpointTimeoutError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    TunestackError,
    shortened,
)
from tunestack.formatting import duration_text, utc_text
from tunestack.provider import EndpointInfo, EndpointState, Expiry
from tunestack.waiting import APPEARS_WITHIN, Poll, seconds, watch

if TYPE_CHECKING:
    from tunestack.provider import Provider

logger = logging.getLogger(__name__)

START_TIMEOUT = 3600.0
"""Seconds; provisioned throughput takes 20 to 30 minutes, a deployment about 8."""

STOP_TIMEOUT = 1800.0
"""Seconds; most of them for what has to finish starting before it can be deleted."""

_MOST_REFUSALS = 5
_STEP = timedelta(minutes=5)
"""Times in requests are rounded up to this."""


class Endpoint:
    """One endpoint, wherever it was started from."""

    def __init__(self, provider: Provider, info: EndpointInfo, *, poll: Poll) -> None:
        """Take an observation of the endpoint; `tuner.endpoint(...)` makes one from a name or id."""
        self._provider = provider
        self._info = info
        self._poll = poll

    @property
    def id(self) -> str:
        """What Bedrock is called with (`modelId`): the endpoint's ARN."""
        return self._info.id

    @property
    def name(self) -> str:
        """The endpoint's name, unique in the account and region."""
        return self._info.name

    @property
    def serving(self) -> Serving:
        """On demand (free while idle) or provisioned (billed by the hour)."""
        return self._info.serving

    @property
    def model(self) -> str:
        """The tuned model that it serves."""
        return self._info.model

    @property
    def expiry(self) -> Expiry:
        """Whether the endpoint is deleted automatically; `unknown` if the caller may not read its tags."""
        if self._info.expiry is Expiry.UNKNOWN:
            self._info = with_expiry(self._provider, self._info)
        return self._info.expiry

    @property
    def expires_at(self) -> datetime | None:
        """When the endpoint guard deletes the endpoint, in UTC; `None` unless `expiry` is `scheduled`."""
        return self._info.expires_at if self.expiry is Expiry.SCHEDULED else None

    @property
    def last(self) -> EndpointInfo:
        """The last observation, without another look."""
        return self._info

    def info(self) -> EndpointInfo:
        """Get the endpoint as it is now, with its end.

        Raises:
            NotFoundError: it was deleted.
        """
        self._info = with_expiry(self._provider, self._provider.endpoint(self.id))
        return self._info

    def _look(self) -> EndpointInfo:
        """Get the state for a poll; the end is taken from the last observation, which saves a call."""
        seen, last = self._provider.endpoint(self.id), self._info
        self._info = replace(seen, expiry=last.expiry, expires_at=last.expires_at)
        return self._info

    def wait(self, timeout: float = START_TIMEOUT) -> Endpoint:
        """Wait until the endpoint answers.

        Raises:
            EndpointFailedError: it could not be started.
            EndpointTimeoutError: it is not ready after `timeout` seconds; it goes on starting.
        """
        timeout = seconds(timeout)
        info = self._settled(timeout)
        if info.state is EndpointState.READY:
            logger.info("endpoint %s is ready, end: %s", info.name, expiry_text(info))
            return self
        if info.state is EndpointState.FAILED:
            reason = info.failure or "no reason given"
            raise EndpointFailedError(
                f"endpoint {info.name!r} could not be started: {reason}: "
                "stop it and start it again",
                endpoint_id=info.id,
                reason=reason,
            )
        billed = ", and may be billed" if info.serving is Serving.PROVISIONED else ""
        raise EndpointTimeoutError(
            f"endpoint {info.name!r} is still {info.raw_state!r} after {duration_text(timeout)}; "
            f"it goes on{billed}: wait again or stop it",
            endpoint_id=info.id,
        )

    def invoke(self, messages: str | Sequence[Mapping[str, str]]) -> str:
        """Ask the tuned model; on demand, billed by the token.

        Args:
            messages: a question, or a conversation of `{"role", "content"}`.

        Returns:
            The text of the answer.

        Raises:
            BusyError: it is not ready, or throttled.
            NotFoundError: it is gone.
        """
        return self._provider.invoke(self.id, conversation(messages))

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Delete the endpoint and wait until it is gone; fine when it is gone already, and on OpenAI, which has none.

        What is still starting can't be deleted: it is waited for, and then deleted.

        Raises:
            ConflictError: the vendor will not delete it, such as provisioned throughput before its commitment ends.
            InvalidRequestError: the same.
            EndpointTimeoutError: it is still there after `timeout` seconds, and may be billed.
        """
        timeout = seconds(timeout)
        if (
            self.serving is Serving.DIRECT
        ):  # there is nothing beside the model, and nothing is billed
            return
        refused, accepted = 0, False

        def gone() -> bool:
            nonlocal refused, accepted
            try:
                info = self._look()
                if info.state in {EndpointState.STARTING, EndpointState.UPDATING}:
                    refused = 0
                    return False
                self._provider.delete_endpoint(info)
                accepted = True
            except NotFoundError:
                return True
            except (ConflictError, InvalidRequestError):
                # It may have changed between the look and the delete, or be on its way out; else this is the answer.
                refused += 1
                if refused >= _MOST_REFUSALS and not accepted:
                    raise
            return False

        if not any(watch(gone, until=bool, timeout=timeout, poll=self._poll)):
            raise EndpointTimeoutError(
                f"endpoint {self.name!r} is still there after {duration_text(timeout)}, and may be billed: "
                "stop it again",
                endpoint_id=self.id,
            )
        logger.info("endpoint %s is gone", self.name)

    def extend(self, ttl: timedelta) -> datetime | None:
        """Move the end of the endpoint to `ttl` from now, unless it ends later anyway; provisioned throughput is billed until then.

        An endpoint never ends earlier than before, and one that has no end gets none, so calling this again and again is safe.

        Args:
            ttl: how long the endpoint must go on from now on.

        Returns:
            When the endpoint guard deletes it; `None` if nothing does.

        Raises:
            ConfigError: no endpoint guard is deployed, the present end is unknown, or the stage does not allow that long.
            AccessError: the caller may not read the present end, or not change it.
            NotFoundError: the endpoint was deleted.
        """
        if not isinstance(ttl, timedelta) or ttl <= timedelta(0):
            raise ConfigError(f"invalid ttl {shortened(ttl)}: use a positive timedelta")
        info = self._info = self._provider.with_expiry(self._provider.endpoint(self.id))
        if info.expiry is Expiry.NEVER:
            logger.info("endpoint %s has no end: there is nothing to extend", self.name)
            return None
        guard = self._provider.guard()
        if guard is None:
            raise ConfigError(
                f"no endpoint guard is deployed here, so nothing deletes endpoint {self.name!r} automatically: "
                "stop it when you are done"
            )
        current, now = info.expires_at, self._provider.now()
        if current is None:
            raise ConfigError(
                f"the end of endpoint {self.name!r} is unknown, it belongs to another stage: extend it with that stage"
            )
        if ttl <= current - now:
            logger.info(
                "endpoint %s keeps its end %s, which is later than %s from now",
                *(self.name, utc_text(current), duration_text(ttl)),
            )
            return current
        end, latest, since = rounded(now + guard.longest), now + guard.longest, "now"
        if info.serving is Serving.PROVISIONED and info.created is not None:
            end = latest = info.created + guard.longest
            since = "its creation"
        if ttl > latest - now:
            raise ConfigError(
                f"invalid ttl of {duration_text(ttl)} for endpoint {self.name!r}: it can end at {utc_text(latest)} "
                f"at the latest, {duration_text(guard.longest)} after {since}: "
                f"use at most {duration_text(latest - now)}; its end is still {utc_text(current)}"
            )
        end = max(current, min(rounded(now + ttl), end).replace(microsecond=0))
        # The schedule that was created before stays: it invokes the guard too early, which finds the new end in the tag.
        self._provider.tag_endpoint(self.id, {EXPIRES_AT_TAG: time_text(end)})
        guard.arm(self.name, self.serving, end)
        self._info = replace(info, expires_at=end)
        logger.info(
            "endpoint %s: end moved from %s to %s", self.name, utc_text(current), utc_text(end)
        )
        return end

    def _settled(self, timeout: float) -> EndpointInfo:
        """Look until nothing changes by itself any more, or the time is over; returns the last observation."""
        for info in watch(
            self._look, until=_is_settled, timeout=timeout, poll=self._poll, can_interrupt=True
        ):
            logger.debug("endpoint %s is %s", info.name, info.raw_state)
        return self._info

    def update(self, model: str, timeout: float = START_TIMEOUT) -> Self:
        """Let the endpoint serve another tuned model of the same base, and wait until it does.

        It answers all the while, with the old model at first; its name, its ARN, its end and what it costs stay.

        Args:
            model: the tuned model (`job.model`).
            timeout: seconds to wait.

        Raises:
            EndpointFailedError: it still serves the old model.
            EndpointTimeoutError: it does not serve the new one after `timeout` seconds; it goes on.
            InvalidRequestError: the model is of another base, or the endpoint is busy changing.
        """
        timeout, model = seconds(timeout), checked_id("model", model)
        info = self._look()
        if info.target != model:
            if info.model == model and info.target is None:
                return self
            self._provider.update_endpoint(info, model)
        asked = self._poll.clock()

        def is_over(info: EndpointInfo) -> bool:
            if info.state is EndpointState.FAILED:
                return True
            if info.state is EndpointState.UPDATING or info.target is not None:
                return False
            # It may not be shown at once that it is being changed.
            return info.model == model or self._poll.clock() - asked > APPEARS_WITHIN

        for info in watch(self._look, until=is_over, timeout=timeout, poll=self._poll):
            logger.debug("endpoint %s is %s", info.name, info.raw_state)
        if not is_over(info):
            raise EndpointTimeoutError(
                f"endpoint {self.name!r} does not serve {model!r} after {duration_text(timeout)}; it goes on: update it again to wait",
                endpoint_id=self.id,
            )
        if info.model != model:
            reason = info.failure or "no reason given"
            raise EndpointFailedError(
                f"endpoint {self.name!r} still serves {info.model!r}: {reason}: try again",
                endpoint_id=self.id,
                reason=reason,
            )
        logger.info("endpoint %s serves %s", self.name, model)
        return self

    def __enter__(self) -> Self:
        """Wait until the endpoint answers, and stop it if it fails to; Ctrl-C leaves it starting."""
        try:
            self.wait()
        except TunestackError:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the endpoint, whatever happened."""
        self.stop()

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same endpoint."""
        return isinstance(other, Endpoint) and self.id == other.id

    def __hash__(self) -> int:
        """Return the hash of the name, which the endpoint has before its ARN is known."""
        return hash(self.name)

    def __copy__(self) -> Endpoint:
        """Return another handle of the same endpoint."""
        return Endpoint(self._provider, self._info, poll=self._poll)

    def __deepcopy__(self, _memo: object) -> Endpoint:
        """Return another handle of the same endpoint, which shares the clients."""
        return self.__copy__()

    def __repr__(self) -> str:
        """Show the name, the kind and the last state seen."""
        return f"<Endpoint {self.name} {self.serving.value} {self._info.raw_state}>"


def conversation(messages: object) -> list[dict[str, str]]:
    """Check a conversation, taking a question for one of one message.

    Raises:
        ConfigError: it is none; says where, and quotes nothing of it.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes) or not messages:
        raise ConfigError(
            f"messages is a {type(messages).__name__}: "
            'use a question, or a list of {"role", "content"}'
        )
    for place, message in enumerate(messages):
        if (
            not isinstance(message, Mapping)
            or message.get("role") not in ("system", "user", "assistant")
            or not isinstance(message.get("content"), str)
            or not message["content"].strip()
        ):
            raise ConfigError(
                f"messages[{place}] is not possible: use a role (system, user or assistant) "
                "and a content of text"
            )
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def with_expiry(provider: Provider, info: EndpointInfo) -> EndpointInfo:
    """Add the end of an endpoint to an observation; it stays unknown if the caller may not read it, or not now."""
    try:
        return provider.with_expiry(info)
    except ProviderError as error:
        logger.debug("the end of endpoint %s is unknown: %s", info.name, error)
        return info


def expiry_text(info: EndpointInfo) -> str:
    """Format the end of an endpoint: `2026-11-28 22:25 UTC`, `never` or `unknown`."""
    return info.expiry.value if info.expires_at is None else utc_text(info.expires_at)


def rounded(time: datetime) -> datetime:
    """Round up, so that two callers at about the same time say the same."""
    step = _STEP.total_seconds()
    return datetime.fromtimestamp(-(time.timestamp() // -step) * step, UTC)


def time_text(time: datetime) -> str:
    """Write a time as tags have it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _is_settled(info: EndpointInfo) -> bool:
    return info.state in {EndpointState.READY, EndpointState.FAILED}
