"""Validation of the sandbox's arguments."""

from __future__ import annotations

import math
import shutil
from datetime import datetime

from tunestack.errors import ConfigError
from tunestack_sandbox.bedrock import Quotas
from tunestack_sandbox.stage import list_stage_regions


def check_arguments(
    *, region: str, empty: bool, speed: object, as_of: object, quotas: object, tls: bool
) -> None:
    """Check the arguments of a sandbox before anything is created.

    Raises:
        ConfigError: An argument is invalid, or `openssl` is required and not installed.
    """
    regions = sorted(list_stage_regions())
    if not empty and region not in regions:
        raise ConfigError(
            f"invalid region {region!r}: the sandbox has no stage there; "
            f"use {' or '.join(regions)}, or an empty sandbox (--empty)"
        )
    if not (isinstance(speed, int | float) and math.isfinite(speed) and speed > 0):
        raise ConfigError(f"invalid speed={speed!r}: use a number above 0")
    if not (as_of is None or isinstance(as_of, datetime)):
        raise ConfigError(f"invalid as_of={as_of!r}: use a datetime")
    if not (quotas is None or isinstance(quotas, Quotas)):
        raise ConfigError(f"invalid quotas={quotas!r}: use tunestack_sandbox.Quotas(...)")
    if tls and shutil.which("openssl") is None:
        raise ConfigError("enforce_iam requires openssl, which is not installed")
