"""One region of one account: what all parts of the Bedrock backend use."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.s3 import Store
from tunestack.deployment import STAGE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from types_boto3_bedrock import BedrockClient
    from types_boto3_bedrock_runtime import BedrockRuntimeClient

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.backends.bedrock.prices import PriceReader
    from tunestack.deployment import Deployment


class BedrockRegion:
    """The clients of a region, and the deployment of the stage there."""

    def __init__(
        self,
        clients: Clients,
        region: str,
        *,
        find_deployment: Callable[[], Deployment],
        find_with_guard: Callable[[], Deployment],
        price_reader: PriceReader,
    ) -> None:
        """Store the arguments; no call is made here.

        Args:
            clients: the clients that make the calls.
            region: the AWS region.
            find_deployment: returns the deployment of the stage in this region; needed to create jobs.
            find_with_guard: returns the same deployment with its endpoint guard, if it has one; needed for endpoints that
                are deleted automatically.
            price_reader: reads AWS's price list.
        """
        self._clients = clients
        self._region = region
        self._find_deployment = find_deployment
        self._find_with_guard = find_with_guard
        self._price_reader = price_reader

    @property
    def scope(self) -> str:
        """The region."""
        return self._region

    def now(self) -> datetime:
        """Return the time by Bedrock's clock, as of its last response."""
        return self._clients.now(self._region)

    @property
    def _deployment(self) -> Deployment:
        return self._find_deployment()

    @property
    def _control(self) -> BedrockClient:
        return cast("BedrockClient", self._clients.get("bedrock", self._region))

    @property
    def _runtime(self) -> BedrockRuntimeClient:
        return cast("BedrockRuntimeClient", self._clients.get("bedrock-runtime", self._region))

    def _store(self, owner: str) -> Store:
        return Store(self._clients.get("s3", self._region), owner)

    @property
    def _data_store(self) -> Store:
        return self._store(self._deployment.account)

    def _add_tags(self, kind: str, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to a resource, and the tag of the stage, which the tuner policy requires."""
        stage = self._deployment.stage
        stage_tags = {} if stage is None else {STAGE_TAG: stage}
        with translate_errors(f"tagging {kind} {arn!r}"):
            self._control.tag_resource(**wire.tag_resource(arn, {**tags, **stage_tags}))

    def _tags(self, kind: str, arn: str) -> Mapping[str, str]:
        with translate_errors(f"getting the tags of {kind} {arn!r}"):
            rows = self._control.list_tags_for_resource(resourceARN=arn).get("tags", ())
        return {row["key"]: row["value"] for row in rows}
