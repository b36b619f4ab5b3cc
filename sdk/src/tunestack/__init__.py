"""Fine-tune language models on Amazon Bedrock and at OpenAI: submit, track, serve and stop.

```python
from tunestack import Tuner

job = Tuner().submit("nova-micro", "train.jsonl", hyperparameters={"epochCount": 3}).wait()
job.start_endpoint()
print(job.endpoint().invoke("Where is my parcel?"))
job.stop_endpoint()
```

From DSPy: `tunestack.dspy.BedrockProvider` and `OpenAIProvider`. From a shell: `tunestack --help`.

The public API is what `tunestack`, `tunestack.catalog`, `tunestack.records`, `tunestack.report` and `tunestack.dspy` export,
`tunestack.deployment.ACTIONS`, and the classes of `tunestack.evaluation` in the reference. Other modules are private.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, which takes longer to load than all of this
if TYPE_CHECKING:
    from tunestack.backends.base import (
        Check,
        Checkpoint,
        CustomModelInfo,
        EndpointInfo,
        EndpointState,
        Expiry,
        JobInfo,
        JobMessage,
        JobSlots,
        JobState,
        Verdict,
    )
    from tunestack.backends.bedrock.logs import LogDataset, collect_logs
    from tunestack.backends.bills import BilledCost, BilledCosts, UsageKind
    from tunestack.backends.endpoint_metrics import EndpointMetrics
    from tunestack.backends.runs import RunInfo, RunState
    from tunestack.catalog import Serving
    from tunestack.custom_models import CustomModel
    from tunestack.deployment import Deployment
    from tunestack.endpoints.cost_warning import EndpointCostWarning
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.errors import (
        AccessError,
        BusyError,
        ClockError,
        ConfigError,
        ConflictError,
        CostError,
        CredentialsExpiredError,
        DataError,
        DeploymentError,
        EndpointError,
        EndpointFailedError,
        EndpointTimeoutError,
        GateError,
        HyperparameterError,
        InvalidRequestError,
        IsolationError,
        JobError,
        JobFailedError,
        JobStalledError,
        JobStoppedError,
        JobTimeoutError,
        MissingExtraError,
        ModelError,
        NetworkError,
        NotFoundError,
        ProviderError,
        QuotaError,
        RoleError,
        StateError,
        TransientError,
        TunestackError,
    )
    from tunestack.evaluation.promotion import Promotion
    from tunestack.evaluation.result import Evaluation
    from tunestack.jobs.job import Job
    from tunestack.jobs.plan import Plan
    from tunestack.jobs.remaining import PastDurations
    from tunestack.polling import Poll
    from tunestack.records.logs import LogFilter
    from tunestack.running_costs import RunningCost
    from tunestack.runs.evaluation import RunEvaluation
    from tunestack.runs.plan import RunPlan
    from tunestack.runs.results import ModelEvaluation, RunResult
    from tunestack.runs.run import Run, RunJob
    from tunestack.spec.cost import Cost
    from tunestack.spec.job_spec import JobSpec, SubmitArguments
    from tunestack.tuner import Tuner

__version__ = "0.2.0"

# Loaded on first use: importing the deployment or the catalog, as the stacks do, must not load boto3.
_MODULES = {
    "AccessError": "errors",
    "BilledCost": "backends.bills",
    "BilledCosts": "backends.bills",
    "BusyError": "errors",
    "Check": "backends.base",
    "Checkpoint": "backends.base",
    "ClockError": "errors",
    "ConfigError": "errors",
    "ConflictError": "errors",
    "Cost": "spec.cost",
    "CostError": "errors",
    "CredentialsExpiredError": "errors",
    "CustomModel": "custom_models",
    "CustomModelInfo": "backends.base",
    "DataError": "errors",
    "Deployment": "deployment",
    "DeploymentError": "errors",
    "Endpoint": "endpoints.endpoint",
    "EndpointCostWarning": "endpoints.cost_warning",
    "EndpointError": "errors",
    "EndpointFailedError": "errors",
    "EndpointInfo": "backends.base",
    "EndpointMetrics": "backends.endpoint_metrics",
    "EndpointState": "backends.base",
    "EndpointTimeoutError": "errors",
    "Evaluation": "evaluation.result",
    "Expiry": "backends.base",
    "GateError": "errors",
    "HyperparameterError": "errors",
    "InvalidRequestError": "errors",
    "IsolationError": "errors",
    "Job": "jobs.job",
    "JobError": "errors",
    "JobFailedError": "errors",
    "JobInfo": "backends.base",
    "JobMessage": "backends.base",
    "JobSlots": "backends.base",
    "JobSpec": "spec.job_spec",
    "JobStalledError": "errors",
    "JobState": "backends.base",
    "JobStoppedError": "errors",
    "JobTimeoutError": "errors",
    "LogDataset": "backends.bedrock.logs",
    "LogFilter": "records.logs",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "ModelEvaluation": "runs.results",
    "NetworkError": "errors",
    "NotFoundError": "errors",
    "PastDurations": "jobs.remaining",
    "Plan": "jobs.plan",
    "Poll": "polling",
    "Promotion": "evaluation.promotion",
    "ProviderError": "errors",
    "QuotaError": "errors",
    "RoleError": "errors",
    "Run": "runs.run",
    "RunEvaluation": "runs.evaluation",
    "RunInfo": "backends.runs",
    "RunJob": "runs.run",
    "RunPlan": "runs.plan",
    "RunResult": "runs.results",
    "RunState": "backends.runs",
    "RunningCost": "running_costs",
    "Serving": "catalog",
    "StateError": "errors",
    "SubmitArguments": "spec.job_spec",
    "TransientError": "errors",
    "Tuner": "tuner",
    "TunestackError": "errors",
    "UsageKind": "backends.bills",
    "Verdict": "backends.base",
    "collect_logs": "backends.bedrock.logs",
}

__all__ = [
    "AccessError",
    "BilledCost",
    "BilledCosts",
    "BusyError",
    "Check",
    "Checkpoint",
    "ClockError",
    "ConfigError",
    "ConflictError",
    "Cost",
    "CostError",
    "CredentialsExpiredError",
    "CustomModel",
    "CustomModelInfo",
    "DataError",
    "Deployment",
    "DeploymentError",
    "Endpoint",
    "EndpointCostWarning",
    "EndpointError",
    "EndpointFailedError",
    "EndpointInfo",
    "EndpointMetrics",
    "EndpointState",
    "EndpointTimeoutError",
    "Evaluation",
    "Expiry",
    "GateError",
    "HyperparameterError",
    "InvalidRequestError",
    "IsolationError",
    "Job",
    "JobError",
    "JobFailedError",
    "JobInfo",
    "JobMessage",
    "JobSlots",
    "JobSpec",
    "JobStalledError",
    "JobState",
    "JobStoppedError",
    "JobTimeoutError",
    "LogDataset",
    "LogFilter",
    "MissingExtraError",
    "ModelError",
    "ModelEvaluation",
    "NetworkError",
    "NotFoundError",
    "PastDurations",
    "Plan",
    "Poll",
    "Promotion",
    "ProviderError",
    "QuotaError",
    "RoleError",
    "Run",
    "RunEvaluation",
    "RunInfo",
    "RunJob",
    "RunPlan",
    "RunResult",
    "RunState",
    "RunningCost",
    "Serving",
    "StateError",
    "SubmitArguments",
    "TransientError",
    "Tuner",
    "TunestackError",
    "UsageKind",
    "Verdict",
    "collect_logs",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunestack' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only for names that are used

    return getattr(import_module(f"tunestack.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
