"""The state that is saved with a fine-tuned `dspy.LM`, so that another process can serve it and fine-tune it further.

DSPy saves and copies the `launch_kwargs` of an LM, and nothing else that a provider could add to. The state is stored there
under the key `tunestack`. Copies of an LM share the dict: replace it, never change it in place.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tunestack import catalog
from tunestack.backends.bedrock.arn import region_of, strip_route
from tunestack.dspy.prompts import ARGUMENTS, PREFIXES, prompt_arguments
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dspy

    from tunestack.catalog import BaseModel
    from tunestack.jobs.job import Job

STATE_KEY = "tunestack"
BEDROCK_PREFIX = "bedrock/converse/"
"""The prefix of an ARN in `lm.model`: the only one with which litellm supports every kind of ARN."""

logger = logging.getLogger(__name__)

_ENDPOINT_URLS = ("aws_bedrock_runtime_endpoint", "api_base", "base_url")
_DEPLOYMENT = ":custom-model-deployment/"

# The end of an assistant message in training data, by adapter (dspy 3.4.1).
_ADAPTERS = {"[[ ## completed ## ]]": "ChatAdapter", ">": "XMLAdapter"}


@dataclass(frozen=True, slots=True)
class LMState:
    """The origin of a fine-tuned LM. Programs are saved with it: the names of the fields can't change."""

    model: str
    """The fine-tuned model: its ARN on Bedrock, its name at OpenAI."""
    routes: tuple[str, ...]
    """The valid values of `lm.model`: the route of the model, and those of its endpoints."""
    job: str = ""
    """The id of the job."""
    base: str = ""
    """The catalog key of the base model."""
    data: str = ""
    """The training file. Its name on Bedrock is its SHA-256."""
    adapter: str = ""
    """The DSPy adapter that wrote the training data, if it can be detected. Use the same adapter for inference."""
    rendering: str = ""
    """How the prompts of the training data are written (`raw`, `chat-template`), if the model is trained on prompts."""

    @classmethod
    def of(cls, lm: dspy.LM) -> LMState | None:
        """Return the state of an LM, or `None` if it has none or its route was changed to another model."""
        saved = (lm.launch_kwargs or {}).get(STATE_KEY)
        if not isinstance(saved, dict):
            return None
        state = cls(**{**saved, "routes": tuple(saved["routes"])})
        return state if route_of(lm) in state.routes else None

    @classmethod
    def from_job(cls, job: Job, model: str, data: Sequence[Any]) -> LMState:
        """Return the state of the LM that a job has fine-tuned."""
        info = job.info
        return cls(
            model=model,
            routes=(to_route(model),),
            job=info.id,
            base=job.base.key,
            data=info.training_data or "",
            adapter=_detect_adapter(data),
            rendering=_rendering_of(job, model),
        )

    def apply(self, lm: dspy.LM, route: str, *, as_base: bool = False) -> None:
        """Set the route of an LM, and store the state in it.

        Args:
            lm: the LM.
            route: the route to invoke, a value for `lm.model`.
            as_base: use the name of the base model for an on-demand deployment, so that litellm knows its capabilities.
        """
        lm.kwargs.pop("model_id", None)
        lm.finetuning_model = None
        base = catalog.find(self.base)
        for name in ARGUMENTS:
            lm.kwargs.pop(name, None)
        if route.startswith("bedrock/"):
            arguments = prompt_arguments(base, self.rendering)
            lm.kwargs.update(arguments)
            prefix = PREFIXES[base.publisher] if base is not None and arguments else BEDROCK_PREFIX
            route = prefix + strip_route(route)
        lm.model = route
        if as_base and base is not None and _DEPLOYMENT in route:
            # litellm invokes `model_id` instead of the model.
            lm.kwargs["model_id"] = route.removeprefix(BEDROCK_PREFIX)
            lm.finetuning_model = BEDROCK_PREFIX + self.model
            lm.model = f"bedrock/{base.inference_ids[0]}"
        set_region_and_price(lm, self.model, base)
        routes = list(dict.fromkeys([*self.routes, route]))
        lm.launch_kwargs = {
            **{name: _to_json(value) for name, value in (lm.launch_kwargs or {}).items()},
            STATE_KEY: {**asdict(self), "routes": routes},
        }


def set_region_and_price(lm: dspy.LM, model: str, base: BaseModel | None) -> None:
    """Set the region of a fine-tuned LM to that of its model, and its price to that of its base model.

    On demand, a custom model costs the same per token as its base model (Bedrock pricing, on-demand inference of custom models,
    read 2026-11-28). litellm (1.106) uses the price of `base_model`, which DSPy saves with the LM. Provisioned throughput is
    billed by the hour, so a call has no price.
    """
    lm.kwargs.pop("base_model", None)
    region = region_of(model)
    if region is None:  # not on Bedrock: litellm knows the prices of fine-tuned models of OpenAI
        return
    if base is not None and _DEPLOYMENT in route_of(lm):
        lm.kwargs["base_model"] = min(base.inference_ids, key=len)
    base_region = lm.kwargs.get("aws_region_name")
    if base_region is None or base_region == region:
        return
    # The region of the base LM: base models can be invoked in regions where they can't be fine-tuned.
    lm.kwargs["aws_region_name"] = region
    for name in _ENDPOINT_URLS:
        if lm.kwargs.pop(name, None) is not None:
            logger.warning(
                "%s of the base LM is for %s: the fine-tuned LM uses %s without it",
                name,
                base_region,
                region,
            )


def route_of(lm: dspy.LM) -> str:
    """Return the route that an LM invokes, as a value of `lm.model`."""
    model = lm.kwargs.get("model_id")
    return lm.model if model is None else BEDROCK_PREFIX + str(model)


def is_on_demand(lm: dspy.LM) -> bool:
    """Return whether an LM invokes an on-demand custom model."""
    return _DEPLOYMENT in route_of(lm)


def to_route(identifier: str) -> str:
    """Return the value of `lm.model` for a model or an endpoint."""
    return BEDROCK_PREFIX + identifier if identifier.startswith("arn:") else f"openai/{identifier}"


def _rendering_of(job: Job, model: str) -> str:
    try:
        return job.backend.rendering(model) or ""
    except TunestackError as error:
        logger.warning(
            "the rendering of the training data of %s is unknown, so Bedrock writes its prompts: %s",
            *(model, error),
        )
        return ""


def _to_json(value: object) -> object:
    """Convert a duration to seconds: DSPy saves LMs as JSON."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def _detect_adapter(data: Sequence[Any]) -> str:
    """Detect the adapter that wrote the training data from the end of the first record."""
    try:
        text = str(data[0]["messages"][-1]["content"]).rstrip()
    except (IndexError, KeyError, TypeError):
        return ""
    return next((name for ending, name in _ADAPTERS.items() if text.endswith(ending)), "")
