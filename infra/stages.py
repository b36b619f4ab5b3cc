"""Everything that differs between accounts and stages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.contract import STAGE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ACCOUNT = re.compile(r"\d{12}")
_PREFIX = re.compile(r"(?=.{1,100}$)[a-z0-9-]+(/[a-z0-9-]+)*")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One account, and the regions in which models are tuned there.

    Attributes:
        name: part of the names of stacks and of the SSM parameter; never changed once deployed.
        regions: one stack in each; Nova is tuned in us-east-1, Llama in us-west-2.
        base_models: the catalog keys that may be tuned.
        account: twelve digits; `None` for the account of whoever deploys.
        data_prefix: where training data and job output go in the bucket.
        retain_data: keep bucket and key when the stack is deleted; if not, `cdk destroy` deletes an empty bucket,
            and fails on one that still holds data.
    """

    name: str
    regions: Sequence[str]
    base_models: Sequence[str]
    account: str | None = None
    data_prefix: str = "tunestack"
    retain_data: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not be deployed, before anything is synthesized."""
        problems = list(self._problems())
        if problems:
            raise ValueError(f"stage {self.name!r} can't be deployed: {'; '.join(problems)}")

    def base_models_in(self, region: str) -> tuple[str, ...]:
        """Name the stage's base models that can be tuned in a region."""
        return tuple(key for key in self.base_models if region in CATALOG[key].regions)

    def _problems(self) -> list[str]:
        problems = []
        if not STAGE_NAME.fullmatch(self.name):
            problems.append(
                "name: use 1 to 20 lower-case letters, digits and hyphens, a letter first"
            )
        if self.account is not None and not _ACCOUNT.fullmatch(self.account):
            problems.append(f"account {self.account!r}: use twelve digits")
        if not self.regions:
            problems.append("regions: name at least one")
        problems += [
            f"region {region!r} is no region"
            for region in self.regions
            if not _REGION.fullmatch(region)
        ]
        if not _PREFIX.fullmatch(self.data_prefix):
            problems.append(
                f"data_prefix {self.data_prefix!r}: use at most 100 lower-case letters, digits "
                "and '-', single '/' between"
            )
        known = {model.key: model for model in CATALOG if model.provider == "bedrock"}
        living = [
            key
            for key, model in known.items()
            if model.lifecycle.state(model.seen) is LifecycleState.ACTIVE
        ]
        for key in self.base_models:
            if key not in known:
                problems.append(
                    f"base model {key!r} is not in the catalog: use {', '.join(living)}"
                )
            elif not set(known[key].regions) & set(self.regions):
                problems.append(
                    f"base model {key!r} is tuned in {' or '.join(known[key].regions)} only: "
                    "add that region"
                )
        return problems


STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="dev",
            regions=("us-east-1", "us-west-2"),
            base_models=(
                "nova-micro",
                "nova-lite",
                "nova-pro",
                "nova-2-lite",
                "llama-3-1-8b",
                "llama-3-1-70b",
                "llama-3-2-1b",
                "llama-3-2-3b",
                "llama-3-2-11b",
                "llama-3-2-90b",
                "llama-3-3-70b",
            ),
            retain_data=False,
        ),
    )
}
"""Add your own stages here: each account, with its regions and the models that may be tuned."""
