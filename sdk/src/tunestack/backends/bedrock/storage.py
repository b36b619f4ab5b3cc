"""The data of a deployment in S3, which is billed by the month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.base import StoredData
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.backends.bedrock.s3 import Location
from tunestack.errors import AccessError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator


_USD_PER_GB_MONTH = 0.023
"""S3 Standard, the first 50 TB, in us-east-1 and us-west-2 (https://aws.amazon.com/s3/pricing/)."""
_GB = 2**30


class BedrockStorage(BedrockRegion):
    """The part of `tunestack.backends.protocols.Backend` for stored data on Amazon Bedrock."""

    def stored_data(self) -> Iterator[StoredData]:
        """Measure the datasets and the outputs of jobs, without older versions; the tuner policy allows to list outputs only."""
        try:
            deployment = self._deployment
        except TunestackError:  # nothing is deployed here
            return
        store = self._data_store
        for prefix in (deployment.datasets_prefix, deployment.outputs_prefix):
            location = Location(deployment.data_bucket, prefix)
            try:
                size = sum(store.list_sizes(location))
            except AccessError:
                yield StoredData(location=str(location), size=None, usd_a_month=None)
            else:
                usd = size / _GB * _USD_PER_GB_MONTH
                yield StoredData(location=str(location), size=size, usd_a_month=usd)
