"""What is kept with a tuned `dspy.LM`, so that it can be served, asked and tuned further tomorrow, in another process.

DSPy saves an LM's `launch_kwargs` with it and copies them along, and nothing else that a provider could add. So it is there,
under a name of its own, and never changed in place: a copy of the LM has the same dict.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.backends.bedrock.arn import region_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dspy

    from tunestack.catalog import BaseModel
    from tunestack.jobs.job import Job

KEY = "tunestack"
ROUTE = "bedrock/converse/"
"""What comes before an ARN in the one form that litellm routes rightly for every kind of it."""

logger = logging.getLogger(__name__)

_ENDPOINT_URLS = ("aws_bedrock_runtime_endpoint", "api_base", "base_url")
_DEPLOYMENT = ":custom-model-deployment/"

# How the adapters end what the model is to answer (dspy 3.4.1).
_ADAPTERS = {"[[ ## completed ## ]]": "ChatAdapter", ">": "XMLAdapter"}


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a tuned LM comes from."""

    model: str
    """The tuned model: on Bedrock its ARN, at OpenAI its name."""
    routes: tuple[str, ...]
    """What `lm.model` may say of it: the model's own, and those of its endpoints."""
    job: str = ""
    base: str = ""
    """By the catalog's key."""
    data: str = ""
    """The training file: its name on Bedrock is its SHA-256."""
    adapter: str = ""
    """The DSPy adapter that wrote the training data, as far as it shows: ask through the same."""

    @classmethod
    def of(cls, lm: dspy.LM) -> Kept | None:
        """Read what is kept with an LM; `None` if nothing is, or if the LM was pointed elsewhere since."""
        found = (lm.launch_kwargs or {}).get(KEY)
        if not isinstance(found, dict):
            return None
        kept = cls(**{**found, "routes": tuple(found["routes"])})
        return kept if asked(lm) in kept.routes else None

    def put(self, lm: dspy.LM, route: str, *, as_base: bool = False) -> None:
        """Let the LM ask by a route from now on, and keep that it may.

        Args:
            lm: the LM.
            route: what DSPy is to call.
            as_base: let litellm take what is deployed on demand for its base model, which it knows the capabilities of.
        """
        lm.kwargs.pop("model_id", None)
        lm.finetuning_model = None
        lm.model = route
        base = catalog.find(self.base)
        if as_base and base is not None and _DEPLOYMENT in route:
            # litellm calls what `model_id` says.
            lm.kwargs["model_id"] = route.removeprefix(ROUTE)
            lm.finetuning_model = ROUTE + self.model
            lm.model = f"bedrock/{base.inference_ids[0]}"
        adapt(lm, self.model, base)
        routes = list(dict.fromkeys([*self.routes, route]))
        lm.launch_kwargs = {
            **{name: _plain(value) for name, value in (lm.launch_kwargs or {}).items()},
            KEY: {**asdict(self), "routes": routes},
        }


def adapt(lm: dspy.LM, model: str, base: BaseModel | None) -> None:
    """Let a fine-tuned LM call the region of its model, at the price of its base model.

    On demand, a custom model costs per token what its base model costs (Bedrock pricing, on-demand inference of custom models,
    read 2026-11-28). litellm takes that price by `base_model` (1.106); DSPy saves it with the LM. Provisioned throughput is
    billed by the hour: no call has a price of its own, and none is shown.
    """
    lm.kwargs.pop("base_model", None)
    region = region_of(model)
    if region is None:  # not on Bedrock: litellm knows prices of fine-tuned models of OpenAI
        return
    if base is not None and _DEPLOYMENT in asked(lm):
        lm.kwargs["base_model"] = min(base.inference_ids, key=len)
    before = lm.kwargs.get("aws_region_name")
    if before is None or before == region:
        return
    # The base LM's own: a base model can be called in regions where it can't be fine-tuned.
    lm.kwargs["aws_region_name"] = region
    for name in _ENDPOINT_URLS:
        if lm.kwargs.pop(name, None) is not None:
            logger.warning(
                "%s of the base LM is for %s: the fine-tuned LM calls %s without it",
                name,
                before,
                region,
            )


def asked(lm: dspy.LM) -> str:
    """Tell what an LM asks, as DSPy calls it."""
    model = lm.kwargs.get("model_id")
    return lm.model if model is None else ROUTE + str(model)


def _plain(value: object) -> object:
    """Write a time as JSON has it, which DSPy saves LMs in: in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def routed(identifier: str) -> str:
    """Tell how DSPy is to call a model or an endpoint."""
    return ROUTE + identifier if identifier.startswith("arn:") else f"openai/{identifier}"


def of_job(job: Job, model: str, data: Sequence[Any]) -> Kept:
    """Tell what is to be kept of a job."""
    info = job.info
    return Kept(
        model=model,
        routes=(routed(model),),
        job=info.id,
        base=job.base.key,
        data=info.training_data or "",
        adapter=_adapter(data),
    )


def _adapter(data: Sequence[Any]) -> str:
    """Tell by its last message which adapter wrote a record."""
    try:
        text = str(data[0]["messages"][-1]["content"]).rstrip()
    except (IndexError, KeyError, TypeError):
        return ""
    return next((name for ending, name in _ADAPTERS.items() if text.endswith(ending)), "")
