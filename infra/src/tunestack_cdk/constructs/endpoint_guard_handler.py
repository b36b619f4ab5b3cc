"""The endpoint guard: ends endpoints whose time is over, whatever became of whoever started them.

This file is the whole code of a Lambda function, so it needs nothing but boto3. It is invoked

- by the schedule that was armed before an endpoint was created, with its name and kind: from the deadline on, every few
  minutes, for a day;
- by a rule every few minutes, with nothing: then it looks at all endpoints of the account in its region.

Each of the two is enough. It touches nothing but what carries its stage's tag.
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
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

ENOUGH = 30_000
"""Milliseconds that must be left to look at another endpoint."""
BUSY = ("ConflictException", "ValidationException")
"""What Bedrock says of an endpoint that can't be deleted, while it is being created or changed among other times."""
PATIENCE = timedelta(hours=1)
"""How long after its end an endpoint may be so: creating one takes half an hour at most."""


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of endpoints, and how Bedrock calls what belongs to it."""

    name: str
    noun: str
    """Of the operations."""
    identifier: str
    """The parameter of Get and Delete; takes a name or an ARN."""
    listed: str
    """The member of List's answer."""
    arn: str
    created: str
    is_billed_idle: bool
    """Whether it costs by the hour: such an endpoint has a deadline, said or not."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="provisioned",
            noun="provisioned_model_throughput",
            identifier="provisionedModelId",
            listed="provisionedModelSummaries",
            arn="provisionedModelArn",
            created="creationTime",
            is_billed_idle=True,
        ),
        Kind(
            name="on-demand",
            noun="custom_model_deployment",
            identifier="customModelDeploymentIdentifier",
            listed="modelDeploymentSummaries",
            arn="customModelDeploymentArn",
            created="createdAt",
            is_billed_idle=False,
        ),
    )
}


@dataclass(frozen=True)
class Settings:
    """What the stack says, in environment variables."""

    stage: str
    stage_tag: str
    expiry_tag: str
    default: timedelta
    """How long an endpoint lives that is billed by the hour and says nothing readable."""
    longest: timedelta
    """How long it lives at most, whatever it says."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read them."""
        return cls(
            stage=environment["STAGE"],
            stage_tag=environment["STAGE_TAG"],
            expiry_tag=environment["EXPIRY_TAG"],
            default=timedelta(hours=int(environment["DEFAULT_HOURS"])),
            longest=timedelta(hours=int(environment["MAX_HOURS"])),
        )


def deadline(
    kind: Kind, tags: Mapping[str, str], created: datetime, settings: Settings
) -> datetime | None:
    """Tell when an endpoint's time is over; `None` if it may stay, as what costs nothing idle may."""
    said = _time(tags.get(settings.expiry_tag))
    if not kind.is_billed_idle:
        return said
    return min(said or created + settings.default, created + settings.longest)


def is_committed(row: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether an endpoint was bought for a term that is not over: it can't be deleted, and is paid for anyway."""
    end = row.get("commitmentExpirationTime")
    return bool(row.get("commitmentDuration")) and (end is None or end > now)


class Guard:
    """Looks at endpoints, and ends those whose time is over."""

    def __init__(self, bedrock: Any, settings: Settings) -> None:
        """Take the client of one region."""
        self._bedrock = bedrock
        self._settings = settings

    def sweep(self, milliseconds_left: Any) -> dict[str, int]:
        """Look at all endpoints; what goes wrong with one keeps it from no other.

        Returns:
            How many were ended, kept, and so on; see `look_at`.

        Raises:
            ClientError: the endpoints can't be listed.
        """
        counts = dict.fromkeys(("ended", "kept", "waiting", "failed", "foreign", "unseen"), 0)
        for kind in KINDS.values():
            for row, now in self._rows(kind):
                if milliseconds_left() < ENOUGH:
                    counts["unseen"] += 1
                    continue
                counts[self._look_at_safely(kind, row, now)] += 1
        return counts

    def wake(self, kind: Kind, name: str) -> str:
        """Look at the one endpoint that a schedule names.

        Raises:
            ClientError: it can't be looked at.
        """
        get = getattr(self._bedrock, f"get_{kind.noun}")
        try:
            row = get(**{kind.identifier: name})
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise
            return "gone"
        return self.look_at(kind, row, _now(row))

    def look_at(self, kind: Kind, row: Mapping[str, Any], now: datetime) -> str:
        """Look at one endpoint.

        Returns:
            `ended`; `kept`, its time is not over or it is paid for anyway; `waiting`, it can't be deleted yet, as when it is
            still being created; `failed`, the same for longer than that takes; `foreign`, it carries no tag of this stage and may not be touched.

        Raises:
            ClientError: Bedrock refuses.
            BotoCoreError: Bedrock can't be reached.
        """
        arn = row[kind.arn]
        tags = self._tags(arn)
        if tags is None:
            return "ended"
        if tags.get(self._settings.stage_tag) != self._settings.stage:
            if kind.is_billed_idle and self._settings.stage_tag not in tags:
                logger.warning("%s is billed by the hour and carries no stage's tag", arn)
                return "foreign"
            return "kept"
        end = deadline(kind, tags, row[kind.created], self._settings)
        is_over = row["status"] == "Failed" or (end is not None and end <= now)
        if not is_over or is_committed(row, now):
            return "kept"
        return self._end(kind, row, end, now)

    def _end(self, kind: Kind, row: Mapping[str, Any], end: datetime | None, now: datetime) -> str:
        arn = row[kind.arn]
        delete = getattr(self._bedrock, f"delete_{kind.noun}")
        try:
            delete(**{kind.identifier: arn})
        except ClientError as error:
            if _code(error) in BUSY:
                if end is not None and now - end > PATIENCE:
                    logger.exception("%s can't be deleted, and its time was over at %s", arn, end)
                    return "failed"
                logger.info("%s can't be deleted yet: %s", arn, error)
                return "waiting"
            if _code(error) != "ResourceNotFoundException":
                raise
        logger.info("%s was ended: it is %s, its time was over at %s", arn, row["status"], end)
        return "ended"

    def _look_at_safely(self, kind: Kind, row: Mapping[str, Any], now: datetime) -> str:
        try:
            return self.look_at(kind, row, now)
        except Exception:
            # Whatever it is: the others must be looked at too.
            logger.exception("%s can't be looked at", row.get(kind.arn))
            return "failed"

    def _rows(self, kind: Kind) -> Iterator[tuple[Mapping[str, Any], datetime]]:
        """List the endpoints of a kind, the oldest first, with the time that it is for Bedrock."""
        pages = self._bedrock.get_paginator(f"list_{kind.noun}s").paginate(
            sortBy="CreationTime", sortOrder="Ascending"
        )
        for page in pages:
            now = _now(page)
            for row in page.get(kind.listed, ()):
                yield row, now

    def _tags(self, arn: str) -> dict[str, str] | None:
        try:
            answer = self._bedrock.list_tags_for_resource(resourceARN=arn)
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return None
            raise
        return {tag["key"]: tag["value"] for tag in answer.get("tags", ())}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Be invoked."""
    settings = Settings.of(os.environ)
    # A throttled call is tried again, within the minutes that the function has.
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    guard = Guard(boto3.client("bedrock", config=config), settings)
    if "name" in event:
        return {"outcome": guard.wake(KINDS[event["kind"]], event["name"])}
    counts = guard.sweep(context.get_remaining_time_in_millis)
    _publish(counts, settings.stage)
    return counts


def _publish(counts: Mapping[str, int], stage: str) -> None:
    """Make metrics of the counts, by a line of the log that CloudWatch reads (embedded metric format)."""
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


def _now(answer: Mapping[str, Any]) -> datetime:
    """Tell the time by the clock of who answered: it is the one that endpoints are billed by."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said) if said else datetime.now(UTC)


def _time(text: str | None) -> datetime | None:
    """Read a time with its zone; `None` where it is none."""
    with suppress(ValueError, TypeError):
        time = datetime.fromisoformat(text or "")
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
