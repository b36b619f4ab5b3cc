"""The handle of an endpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from tunestack._utils.formatting import duration_text, utc_text
from tunestack.backends.base import EndpointInfo, EndpointState, Expiry, InferenceSettings
from tunestack.backends.handle import Handle
from tunestack.backends.protocols import EndpointHost
from tunestack.catalog import Serving
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack.endpoints.expiry import expiry_text, round_up, time_text, to_ttl, with_expiry
from tunestack.endpoints.metrics import SINCE, read_metrics
from tunestack.errors import (
    ConfigError,
    ConflictError,
    EndpointFailedError,
    EndpointTimeoutError,
    InvalidRequestError,
    NotFoundError,
    TunestackError,
)
from tunestack.polling import VISIBLE_WITHIN, Duration, to_timeout, watch
from tunestack.records.conversation import from_messages
from tunestack.spec.arguments import check_id

if TYPE_CHECKING:
    from datetime import datetime

    from tunestack.backends.endpoint_metrics import EndpointMetrics
    from tunestack.records.target import Rendering

logger = logging.getLogger(__name__)

START_TIMEOUT = 3600.0
"""Seconds that `wait` waits by default; provisioned throughput takes 20 to 30 minutes, a deployment about 8."""

STOP_TIMEOUT = 1800.0
"""Seconds that `stop` waits by default; an endpoint that is starting can only be deleted afterwards."""

_MAX_REFUSALS = 5


class Endpoint(Handle[EndpointInfo]):
    """An endpoint that serves a fine-tuned model; handles can be compared, copied and pickled.

    Example:
        with tuner.endpoint("tunestack-...") as endpoint:  # stops it at the end
            print(endpoint.invoke("Where is my parcel?"))
    """

    @property
    def serving(self) -> Serving:
        """On demand (free while idle) or provisioned (billed by the hour)."""
        return self._info.serving

    @property
    def model(self) -> str:
        """The fine-tuned model that the endpoint serves."""
        return self._info.model

    @property
    def expiry(self) -> Expiry:
        """Whether the endpoint is deleted automatically; `unknown` if the caller may not read its tags."""
        if self._info.expiry is Expiry.UNKNOWN:
            self._info = with_expiry(self._backend, self._info)
        return self._info.expiry

    @property
    def expires_at(self) -> datetime | None:
        """When the endpoint guard deletes the endpoint, in UTC; `None` unless `expiry` is `scheduled`."""
        return self._info.expires_at if self.expiry is Expiry.SCHEDULED else None

    @property
    def state(self) -> EndpointState:
        """The state in the last observation."""
        return self._info.state

    def refresh(self) -> EndpointInfo:
        """Get the endpoint from the provider, with its end.

        Raises:
            NotFoundError: it was deleted.
        """
        self._info = with_expiry(self._backend, self._backend.endpoint(self.id))
        return self._info

    def _poll_state(self) -> EndpointInfo:
        """Get the state; the end is taken from the last observation, which saves a call."""
        info, last = self._backend.endpoint(self.id), self._info
        self._info = replace(info, expiry=last.expiry, expires_at=last.expires_at)
        return self._info

    @property
    def _host(self) -> EndpointHost:
        if isinstance(self._backend, EndpointHost):
            return self._backend
        raise ConfigError(
            f"{self.name!r} is a model of OpenAI, which is invoked by its name: it has no endpoint to change"
        )

    def wait(self, timeout: Duration | None = START_TIMEOUT) -> Endpoint:
        """Wait until the endpoint is ready.

        Args:
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            EndpointFailedError: the endpoint could not be started.
            EndpointTimeoutError: the timeout was reached; the endpoint is still being created.
        """
        limit = to_timeout(timeout)
        info = self._wait_until_settled(limit)
        if info.state is EndpointState.READY:
            logger.info("endpoint %s is ready, expires: %s", info.name, expiry_text(info))
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
            f"endpoint {info.name!r} is still {info.raw_state!r} after {duration_text(limit)}; "
            f"it continues{billed}: wait again or stop it",
            endpoint_id=info.id,
        )

    def invoke(
        self, messages: str | Sequence[Mapping[str, str]], *, rendering: Rendering | None = None
    ) -> str:
        """Invoke the fine-tuned model; on demand, billed by the token.

        A model that is trained on prompts and completions (Llama 3.1) gets the prompt in the rendering of its training data,
        byte for byte. If the conversation can't be written so, a warning is logged, and the chat template is used.

        Args:
            messages: a question, or a conversation: a list of `{"role", "content"}`.
            rendering: `raw` or `chat-template`, for a model of which Tunestack does not know the rendering.

        Returns:
            The text of the answer.

        Raises:
            BusyError: the endpoint is not ready, or the request was throttled.
            NotFoundError: the endpoint was deleted.
        """
        records = from_messages(conversation(messages))
        return self._backend.complete(
            self._info, records, InferenceSettings(), rendering=rendering
        ).text

    def metrics(
        self, since: datetime | Duration = SINCE, period: Duration | None = None
    ) -> Sequence[EndpointMetrics]:
        """Read the metrics of the endpoint (Bedrock only), the oldest period first; periods without data are left out.

        CloudWatch has them some minutes after the invocations, for 455 days, and bills each metric that is read.

        Args:
            since: the start: a time, or seconds or a `timedelta` before now; by default 3 hours.
            period: seconds or a `timedelta`, a multiple of 1 minute; by default one with which there are few periods.

        Raises:
            ConfigError: the provider has no metrics, or none of that time or period.
            AccessError: the caller may not read them.
        """
        return read_metrics(self._backend, self._info, since, period)

    def stop(self, timeout: Duration | None = STOP_TIMEOUT) -> None:
        """Delete the endpoint and wait until it is deleted; does nothing if it was deleted before, and at OpenAI.

        An endpoint that is starting can't be deleted: it is deleted as soon as it has started.

        Args:
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            ConflictError: the provider refuses, for example for provisioned throughput before its commitment ends.
            InvalidRequestError: the same.
            EndpointTimeoutError: the endpoint still exists after the timeout, and may be billed.
        """
        limit = to_timeout(timeout)
        if self.serving is Serving.DIRECT:  # only the model exists, and nothing is billed
            return
        refused, accepted, host = 0, False, self._host

        def is_deleted() -> bool:
            nonlocal refused, accepted
            try:
                info = self._poll_state()
                if info.state in {EndpointState.STARTING, EndpointState.UPDATING}:
                    refused = 0
                    return False
                host.delete_endpoint(info)
                accepted = True
            except NotFoundError:
                return True
            except (ConflictError, InvalidRequestError):
                # The state may have changed since it was read, or the endpoint is being deleted; if not, it is refused again.
                refused += 1
                if refused >= _MAX_REFUSALS and not accepted:
                    raise
            return False

        if not any(watch(is_deleted, until=bool, timeout=limit, poll=self._poll)):
            raise EndpointTimeoutError(
                f"endpoint {self.name!r} still exists after {duration_text(limit)}, and may be billed: "
                "stop it again",
                endpoint_id=self.id,
            )
        logger.info("endpoint %s is deleted", self.name)

    def extend(self, ttl: Duration) -> datetime | None:
        """Extend the lifetime of the endpoint to `ttl` from now; never shortens it; provisioned throughput is billed until then.

        An endpoint never ends earlier than before, and one that has no end gets none, so calling this again and again is safe.

        Args:
            ttl: how long the endpoint must live from now on: seconds or a `timedelta`.

        Returns:
            When the endpoint guard deletes it; `None` if nothing does.

        Raises:
            ConfigError: no endpoint guard is deployed, the present end is unknown, or the stage does not allow that long.
            AccessError: the caller may not read the present end, or not change it.
            NotFoundError: the endpoint was deleted.
        """
        ttl = to_ttl(ttl)
        info = self._backend.endpoint(self.id)
        if isinstance(self._backend, EndpointHost):
            info = self._backend.with_expiry(info)
        self._info = info
        if info.expiry is Expiry.NEVER:
            logger.info("endpoint %s has no expiry: nothing was changed", self.name)
            return None
        guard = self._host.guard()
        if guard is None:
            raise ConfigError(
                f"no endpoint guard is deployed here, so nothing deletes endpoint {self.name!r} automatically: "
                "stop it when you are done"
            )
        current, now = info.expires_at, self._backend.now()
        if current is None:
            raise ConfigError(
                f"endpoint {self.name!r} belongs to another stage, so its expiry is unknown: extend it with that stage"
            )
        if ttl <= current - now:
            logger.info(
                "endpoint %s keeps its end %s, which is later than %s from now",
                *(self.name, utc_text(current), duration_text(ttl)),
            )
            return current
        end, latest, since = round_up(now + guard.longest), now + guard.longest, "now"
        if info.serving is Serving.PROVISIONED and info.created is not None:
            end = latest = info.created + guard.longest
            since = "its creation"
        if ttl > latest - now:
            raise ConfigError(
                f"invalid ttl of {duration_text(ttl)} for endpoint {self.name!r}: it can end at {utc_text(latest)} "
                f"at the latest, {duration_text(guard.longest)} after {since}: "
                f"use at most {duration_text(latest - now)}; its end is still {utc_text(current)}"
            )
        end = max(current, min(round_up(now + ttl), end).replace(microsecond=0))
        # The schedule that was created before stays: it invokes the guard too early, which finds the new end in the tag.
        self._host.tag_endpoint(self.id, {EXPIRES_AT_TAG: time_text(end)})
        guard.arm(self.name, self.serving, end)
        self._info = replace(info, expires_at=end)
        logger.info(
            "endpoint %s: end moved from %s to %s", self.name, utc_text(current), utc_text(end)
        )
        return end

    def _wait_until_settled(self, timeout: float) -> EndpointInfo:
        """Poll until the endpoint is ready or has failed, or the timeout is over; returns the last observation."""
        for info in watch(
            self._poll_state,
            until=_is_settled,
            timeout=timeout,
            poll=self._poll,
            can_interrupt=True,
        ):
            logger.debug("endpoint %s is %s", info.name, info.raw_state)
        return self._info

    def update(self, model: str, timeout: Duration | None = START_TIMEOUT) -> Self:
        """Update the endpoint to another fine-tuned model of the same base model, and wait until it serves it.

        The endpoint keeps answering, at first with the old model. Its name, ARN, end and price stay the same.

        Args:
            model: the fine-tuned model (`job.model`).
            timeout: seconds or a `timedelta`; `None` for no limit.

        Raises:
            EndpointFailedError: the update failed, the endpoint still serves the old model.
            EndpointTimeoutError: the endpoint does not serve the new model in time; the update continues.
            InvalidRequestError: the model has another base model, or the endpoint is being updated.
            ConfigError: it is a model of OpenAI, which has no endpoint.
        """
        limit, model = to_timeout(timeout), check_id("model", model)
        host = self._host
        info = self._poll_state()
        if info.target != model:
            if info.model == model and info.target is None:
                return self
            host.update_endpoint(info, model)
        start = self._poll.clock()

        def is_over(info: EndpointInfo) -> bool:
            if info.state is EndpointState.FAILED:
                return True
            if info.state is EndpointState.UPDATING or info.target is not None:
                return False
            # The update may not be visible at once.
            return info.model == model or self._poll.clock() - start > VISIBLE_WITHIN

        for info in watch(self._poll_state, until=is_over, timeout=limit, poll=self._poll):
            logger.debug("endpoint %s is %s", info.name, info.raw_state)
        if not is_over(info):
            raise EndpointTimeoutError(
                f"endpoint {self.name!r} did not finish its update to {model!r} within {duration_text(limit)}; the update continues: call update() again to wait for it",
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
        """Wait until the endpoint is ready; stop it if it fails. After Ctrl-C, the endpoint is still being created."""
        try:
            self.wait()
        except TunestackError:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the endpoint."""
        self.stop()

    def __hash__(self) -> int:
        """Return the hash of the name, which is known before the ARN."""
        return hash(self.name)

    def __repr__(self) -> str:
        """Show the name, the kind and the last state."""
        return f"<Endpoint {self.name} {self.serving.value} {self._info.raw_state}>"


def conversation(messages: object) -> list[dict[str, str]]:
    """Return a valid conversation; a string is a conversation of one message.

    Raises:
        ConfigError: it is invalid; the message says where, and quotes none of its text.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes) or not messages:
        raise ConfigError(
            f"messages is a {type(messages).__name__}: "
            'use a question, or a list of {"role", "content"}'
        )
    for index, message in enumerate(messages):
        if (
            not isinstance(message, Mapping)
            or message.get("role") not in ("system", "user", "assistant")
            or not isinstance(message.get("content"), str)
            or not message["content"].strip()
        ):
            raise ConfigError(
                f"messages[{index}] is invalid: use a role (system, user or assistant) and a content of text"
            )
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _is_settled(info: EndpointInfo) -> bool:
    return info.state in {EndpointState.READY, EndpointState.FAILED}
