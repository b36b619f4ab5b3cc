"""Fine-tuning on Amazon Bedrock and at OpenAI from DSPy.

```python
lm = dspy.LM("bedrock/us.amazon.nova-micro-v1:0", provider=BedrockProvider())
job = lm.finetune(train_data, TrainDataFormat.CHAT, train_kwargs={"epochCount": 3})
fine_tuned = job.result()  # waits; raises if the job fails
```

Supports dspy 3.3 and 3.4 (`dspy.clients.provider`, read 2026-11-22).
"""

from __future__ import annotations

from tunestack._utils import background
from tunestack._utils.extras import missing_extra

try:
    import dspy as _dspy  # noqa: F401 - checks that dspy is installed
except ModuleNotFoundError as error:
    raise missing_extra("dspy", error) from error

from dspy.clients.utils_finetune import TrainDataFormat

from tunestack.dspy.bedrock_provider import BedrockProvider
from tunestack.dspy.better_together import BetterTogether
from tunestack.dspy.bootstrap_finetune import BootstrapFinetune
from tunestack.dspy.comparison import compare
from tunestack.dspy.job import TuningJob
from tunestack.dspy.openai_provider import OpenAIProvider
from tunestack.dspy.programs import attach, stop

__all__ = [
    "BedrockProvider",
    "BetterTogether",
    "BootstrapFinetune",
    "OpenAIProvider",
    "TrainDataFormat",
    "TuningJob",
    "attach",
    "background",
    "compare",
    "stop",
]
