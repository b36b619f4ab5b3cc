"""Results of evaluations and promotions, in the data bucket of the stage beside the output of the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.backends.bedrock.s3 import Location
from tunestack.deployment import evaluations_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator


class BedrockResults(BedrockRegion):
    """`tunestack.backends.inference.ResultStore`, in one region of one account."""

    def _result_location(self, name: str) -> Location:
        deployment = self._deployment
        return Location(deployment.data_bucket, evaluations_prefix(deployment.data_prefix) + name)

    def put_result(self, name: str, content: bytes) -> str:
        """Store a result and return its S3 URI."""
        location = self._result_location(name)
        self._data_store.write(location, content)
        return str(location)

    def read_result(self, name: str) -> bytes:
        """Read a result."""
        location = self._result_location(name)
        return self._data_store.read(location)

    def list_results(self, prefix: str) -> Iterator[str]:
        """List the names of the results that start with a prefix."""
        location = self._result_location(prefix)
        start = len(location.key) - len(prefix)
        store = self._data_store
        return (key[start:] for key in store.list_keys(location))

    def caller(self) -> str:
        """Return the ARN of the caller; the call needs no permission."""
        with translate_errors("getting the caller's identity"):
            identity = self._clients.get("sts", self._region).get_caller_identity()
        return str(identity["Arn"])
