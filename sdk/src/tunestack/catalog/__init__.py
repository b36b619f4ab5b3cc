"""The base models: what can be tuned, where, with which data and hyperparameters, at what price.

The facts are in `data/*.toml`, one file a vendor, dated and sourced.
This package is their typed form, for the SDK, the stacks and the sandbox alike;
it knows the standard library only.
The catalog explains a model; whether the service still takes it is the service's own word.
"""

from tunestack.catalog.inference import Inference, find_inference
from tunestack.catalog.load import CATALOG
from tunestack.catalog.lookup import (
    find,
    of_custom_model,
    require,
    require_allowed,
    require_living,
    tunable,
    unknown,
)
from tunestack.catalog.model import (
    BaseModel,
    ChatTemplate,
    Confidence,
    Content,
    Hyperparameter,
    Lifecycle,
    LifecycleState,
    Limits,
    Price,
    RecordFormat,
    Serving,
)
from tunestack.catalog.names import ModelName, parse_name

__all__ = [
    "CATALOG",
    "BaseModel",
    "ChatTemplate",
    "Confidence",
    "Content",
    "Hyperparameter",
    "Inference",
    "Lifecycle",
    "LifecycleState",
    "Limits",
    "ModelName",
    "Price",
    "RecordFormat",
    "Serving",
    "find",
    "find_inference",
    "of_custom_model",
    "parse_name",
    "require",
    "require_allowed",
    "require_living",
    "tunable",
    "unknown",
]
