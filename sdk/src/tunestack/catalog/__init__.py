"""The catalog of base models: regions, record formats, hyperparameters, limits and prices for fine-tuning.

```python
from tunestack import catalog

model = catalog.find("us.amazon.nova-micro-v1:0")
print(model.regions, model.hyperparameters["epochCount"].max)
```

The facts are in `data/*.toml`, one file per publisher, each with its date and source.
The SDK, the CDK constructs and the sandbox use this package. It imports the standard library and msgspec only.
Whether a model still accepts jobs is decided by the service; the catalog's dates are used if the service can't be asked.
"""

from tunestack.catalog.inference import Inference, find_inference
from tunestack.catalog.load import CATALOG
from tunestack.catalog.lookup import (
    find,
    get,
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
    NumberType,
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
    "NumberType",
    "Price",
    "RecordFormat",
    "Serving",
    "find",
    "find_inference",
    "get",
    "of_custom_model",
    "parse_name",
    "require",
    "require_allowed",
    "require_living",
    "tunable",
    "unknown",
]
