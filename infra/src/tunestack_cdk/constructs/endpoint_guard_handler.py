"""The Lambda function of the endpoint guard: deletes endpoints that have expired, even if their client no longer exists.

This file is the complete code of the function, so it may import boto3 and the standard library only. It is invoked

- by the schedule of an endpoint, which the SDK creates before the endpoint, with the endpoint's name and kind: every few
  minutes for a day, starting at the expiry;
- by a rule every few minutes, with an empty event: it then sweeps all endpoints of the account in its region.

Either invocation is sufficient. The guard deletes only endpoints with the tag of its stage.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

MIN_REMAINING_MILLISECONDS = 30_000
"""Time that must remain before the timeout of the function to process one more endpoint."""
BUSY_CODES = ("ConflictException", "ValidationException")
"""Error codes of Bedrock for an endpoint that can't be deleted yet, for example because it is being created or updated."""
BUSY_LIMIT = timedelta(hours=1)
"""How long after its expiry an endpoint may be busy before it counts as failed. Creation takes at most 30 minutes."""
OUTCOMES = ("ended", "kept", "waiting", "failed", "foreign", "unseen")
"""Outcomes of a sweep, see `Guard.delete_if_expired`. They are names of CloudWatch metrics: alarms depend on them."""


@dataclass(frozen=True)
class EndpointKind:
    """One of the two kinds of endpoints, and its names in the API of Bedrock."""

    name: str
    operation_noun: str
    """Part of the operation names."""
    id_parameter: str
    """Parameter of Get and Delete that takes a name or an ARN."""
    summaries_key: str
    """Key of the endpoints in the response of List."""
    arn_key: str
    created_at_key: str
    is_billed_hourly: bool
    """Whether it is billed while idle: such an endpoint always expires, with or without a tag."""


KINDS = {
    kind.name: kind
    for kind in (
        EndpointKind(
            name="provisioned",
            operation_noun="provisioned_model_throughput",
            id_parameter="provisionedModelId",
            summaries_key="provisionedModelSummaries",
            arn_key="provisionedModelArn",
            created_at_key="creationTime",
            is_billed_hourly=True,
        ),
        EndpointKind(
            name="on-demand",
            operation_noun="custom_model_deployment",
            id_parameter="customModelDeploymentIdentifier",
            summaries_key="modelDeploymentSummaries",
            arn_key="customModelDeploymentArn",
            created_at_key="createdAt",
            is_billed_hourly=False,
        ),
    )
}


@dataclass(frozen=True)
class Settings:
    """The settings of the stage."""

    stage: str
    stage_tag: str
    expires_at_tag: str
    default_endpoint_hours: int
    """Lifetime of an endpoint that is billed hourly and has no valid expiry tag."""
    max_endpoint_hours: int
    """Maximum lifetime of an endpoint that is billed hourly, whatever its tag says."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables."""
        return cls(
            stage=environment["STAGE"],
            stage_tag=environment["STAGE_TAG"],
            expires_at_tag=environment["EXPIRY_TAG"],
            default_endpoint_hours=int(environment["DEFAULT_HOURS"]),
            max_endpoint_hours=int(environment["MAX_HOURS"]),
        )


def compute_expiry(
    kind: EndpointKind, tags: Mapping[str, str], created_at: datetime, settings: Settings
) -> datetime | None:
    """Return when an endpoint expires, or `None` if it does not: one that costs nothing while idle needs no expiry."""
    tagged = _parse_time(tags.get(settings.expires_at_tag))
    if not kind.is_billed_hourly:
        return tagged
    default = created_at + timedelta(hours=settings.default_endpoint_hours)
    latest = created_at + timedelta(hours=settings.max_endpoint_hours)
    return min(tagged or default, latest)


def is_committed(endpoint: Mapping[str, Any], now: datetime) -> bool:
    """Return whether an endpoint has a commitment term that is not over: it can't be deleted, and is billed anyway."""
    end = endpoint.get("commitmentExpirationTime")
    return bool(endpoint.get("commitmentDuration")) and (end is None or end > now)


class Guard:
    """Deletes the endpoints of a stage that have expired."""

    def __init__(self, bedrock: Any, settings: Settings) -> None:
        """Create a guard for the region of a Bedrock client."""
        self._bedrock = bedrock
        self._settings = settings

    def sweep(self, get_remaining_milliseconds: Callable[[], int]) -> dict[str, int]:
        """Process all endpoints. An error with one endpoint does not affect the others.

        Returns:
            The number of endpoints for each of `OUTCOMES`; `unseen` are those that no time remained for.

        Raises:
            ClientError: the endpoints can't be listed.
        """
        counts = dict.fromkeys(OUTCOMES, 0)
        for kind in KINDS.values():
            for endpoint, now in self._list_endpoints(kind):
                if get_remaining_milliseconds() < MIN_REMAINING_MILLISECONDS:
                    counts["unseen"] += 1
                    continue
                counts[self._delete_if_expired_safely(kind, endpoint, now)] += 1
        return counts

    def check_endpoint(self, kind: EndpointKind, name: str) -> str:
        """Process the endpoint that a schedule names.

        Returns:
            The outcome, or `not_found` if the endpoint does not exist.

        Raises:
            ClientError: the endpoint can't be read or deleted.
        """
        get = getattr(self._bedrock, f"get_{kind.operation_noun}")
        try:
            endpoint = get(**{kind.id_parameter: name})
        except ClientError as error:
            if _get_code(error) != "ResourceNotFoundException":
                raise
            return "not_found"
        return self.delete_if_expired(kind, endpoint, _get_time(endpoint))

    def delete_if_expired(
        self, kind: EndpointKind, endpoint: Mapping[str, Any], now: datetime
    ) -> str:
        """Delete an endpoint if it belongs to the stage and has expired or failed.

        Returns:
            - `ended`: deleted.
            - `kept`: not expired, billed for a commitment term anyway, or of another stage.
            - `waiting`: expired, but can't be deleted yet, for example because it is being created.
            - `failed`: the same for longer than `BUSY_LIMIT`.
            - `foreign`: billed hourly and without a stage tag, so the guard may not delete it.

        Raises:
            ClientError: Bedrock denies the request.
            BotoCoreError: Bedrock can't be reached.
        """
        arn = endpoint[kind.arn_key]
        tags = self._get_tags(arn)
        if tags is None:
            return "ended"
        if tags.get(self._settings.stage_tag) != self._settings.stage:
            if kind.is_billed_hourly and self._settings.stage_tag not in tags:
                logger.warning("No stage tag on %s, which is billed by the hour", arn)
                return "foreign"
            return "kept"
        expires_at = compute_expiry(kind, tags, endpoint[kind.created_at_key], self._settings)
        has_expired = expires_at is not None and expires_at <= now
        if not (has_expired or endpoint["status"] == "Failed") or is_committed(endpoint, now):
            return "kept"
        return self._delete(kind, endpoint, expires_at, now)

    def _delete(
        self,
        kind: EndpointKind,
        endpoint: Mapping[str, Any],
        expires_at: datetime | None,
        now: datetime,
    ) -> str:
        arn = endpoint[kind.arn_key]
        delete = getattr(self._bedrock, f"delete_{kind.operation_noun}")
        try:
            delete(**{kind.id_parameter: arn})
        except ClientError as error:
            code = _get_code(error)
            if code in BUSY_CODES:
                if expires_at is not None and now - expires_at > BUSY_LIMIT:
                    logger.exception("Can't delete %s, which expired at %s", arn, expires_at)
                    return "failed"
                logger.info("Can't delete %s yet: %s", arn, error)
                return "waiting"
            if code != "ResourceNotFoundException":
                raise
        logger.info(
            "Deleted %s with status %s, which expired at %s", arn, endpoint["status"], expires_at
        )
        return "ended"

    def _delete_if_expired_safely(
        self, kind: EndpointKind, endpoint: Mapping[str, Any], now: datetime
    ) -> str:
        try:
            return self.delete_if_expired(kind, endpoint, now)
        except Exception:
            # Any error: the other endpoints must be processed.
            logger.exception("Can't process %s", endpoint.get(kind.arn_key))
            return "failed"

    def _list_endpoints(self, kind: EndpointKind) -> Iterator[tuple[Mapping[str, Any], datetime]]:
        """List the endpoints of a kind, oldest first, each with the current time at Bedrock."""
        pages = self._bedrock.get_paginator(f"list_{kind.operation_noun}s").paginate(
            sortBy="CreationTime", sortOrder="Ascending"
        )
        for page in pages:
            now = _get_time(page)
            for endpoint in page.get(kind.summaries_key, ()):
                yield endpoint, now

    def _get_tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of an endpoint, or `None` if it does not exist."""
        try:
            response = self._bedrock.list_tags_for_resource(resourceARN=arn)
        except ClientError as error:
            if _get_code(error) == "ResourceNotFoundException":
                return None
            raise
        return {tag["key"]: tag["value"] for tag in response.get("tags", ())}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Handle an invocation by a schedule or by the rule."""
    settings = Settings.from_environment(os.environ)
    # Throttled requests are retried within the timeout of the function, which is minutes.
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    guard = Guard(boto3.client("bedrock", config=config), settings)
    if "name" in event:
        return {"outcome": guard.check_endpoint(KINDS[event["kind"]], event["name"])}
    counts = guard.sweep(context.get_remaining_time_in_millis)
    _publish_metrics(counts, settings.stage)
    return counts


def _publish_metrics(counts: Mapping[str, int], stage: str) -> None:
    """Write the counts to the log in the embedded metric format, from which CloudWatch creates metrics."""
    metrics = {**counts, "sweeps": 1}
    line = {
        "_aws": {
            "Timestamp": int(datetime.now(UTC).timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Tunestack",
                    "Dimensions": [["stage"]],
                    "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
                }
            ],
        },
        "stage": stage,
        **metrics,
    }
    sys.stdout.write(json.dumps(line) + "\n")


def _get_time(response: Mapping[str, Any]) -> datetime:
    """Return the time of a response of Bedrock: endpoints are billed by the clock of the service."""
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def _parse_time(text: str | None) -> datetime | None:
    """Parse a time in ISO 8601, in UTC if it has no offset; return `None` if the text is not a time."""
    with suppress(ValueError, TypeError):
        time = datetime.fromisoformat(text or "")
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def _get_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
