"""Every exception that Tunestack raises.

```
TunestackError
├── ConfigError (ValueError)            an argument or setting is invalid; the message says what is valid
│   ├── DeploymentError                 no deployment, or one of another version; `cdk deploy` creates it
│   ├── ModelError                      the model can't be fine-tuned (here); the message names the models that can
│   ├── HyperparameterError             an unknown name, or a value out of range; the message has the range
│   └── CostError                       the estimated cost is above the limit; nothing was billed
├── DataError (ValueError)              training data that the job would fail on: every problem, with its line
├── IsolationError (ConnectionRefusedError)  a connection that would leave the machine while the sandbox is active
├── MissingExtraError (ImportError)     an optional dependency is not installed; the message says which
├── GateError                           an evaluation did not pass its conditions; nothing was changed
├── ProviderError                       the provider refused or failed; `__cause__` is its own error
│   ├── AccessError                     credentials are missing, or lack a permission
│   │   ├── RoleError                   Bedrock can't assume the job role
│   │   ├── CredentialsExpiredError     the credentials have expired: sign in again
│   │   └── ClockError                  this machine's clock is wrong
│   ├── NotFoundError                   the job, model, endpoint, bucket or parameter does not exist
│   ├── InvalidRequestError             the provider rejected the request
│   ├── ConflictError                   it exists already with other content, or is being changed
│   ├── QuotaError                      a quota is used up; the message says which, and how to raise it
│   └── TransientError                  trying again later may work
│       ├── BusyError                   throttled or unavailable
│       └── NetworkError (ConnectionError)  the provider can't be reached
├── JobError                            a job
│   ├── StateError                      not possible in the present state of the job
│   ├── JobFailedError                  the job failed; `reason` has the provider's message
│   ├── JobStoppedError                 the job was stopped: no model, and what was trained is billed
│   └── JobTimeoutError (TimeoutError)  the wait ended, the job continues
│       └── JobStalledError             the job has not changed for too long
└── EndpointError                       an endpoint
    ├── EndpointFailedError             the endpoint could not be started; `reason` has the provider's message
    └── EndpointTimeoutError (TimeoutError)  the wait ended, the endpoint may go on (and be billed)
```
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_QUOTE = 60


def shortened(value: object) -> str:
    """Return the repr of a value for a message, cut to 60 characters."""
    try:
        quoted = repr(value.value if isinstance(value, Enum) else value)
    except (ValueError, RecursionError):  # an int of thousands of digits, or a deeply nested value
        quoted = f"a value of type {type(value).__name__}"
    return quoted if len(quoted) <= _LONGEST_QUOTE else f"{quoted[: _LONGEST_QUOTE - 3]}..."


class TunestackError(Exception):
    """The base class of all errors of Tunestack; errors can be pickled."""

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the attributes that constructors of subclasses require."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[TunestackError], args: tuple[object, ...], attributes: dict[str, object]
) -> TunestackError:
    error = kind.__new__(kind, *args)
    # Some built-in exceptions keep their message only in their constructor, which those of subclasses do not call here.
    builtin: Any = next(base for base in kind.__mro__ if not issubclass(base, TunestackError))
    builtin.__init__(error, *args)
    error.__dict__.update(attributes)
    return error


class ConfigError(TunestackError, ValueError):
    """An argument or setting is invalid; the message says what is valid."""


class DeploymentError(ConfigError):
    """The account has no readable deployment, or one of another version."""


class ModelError(ConfigError):
    """The model can't be fine-tuned, or not in this region; the message names those that can."""


class HyperparameterError(ConfigError):
    """A hyperparameter is unknown for the model, or out of range."""


class CostError(ConfigError):
    """The estimated cost is above the limit, or unknown; nothing was billed."""


class DataError(TunestackError, ValueError):
    """Training data that the job would fail on.

    Attributes:
        problems: one line of text for each problem in the message, in the order of the data.
        report: all problems, as a `tunestack.records.Report`, if the data could be read.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        """Join the message and the problems into the text of the error."""
        super().__init__("\n  ".join([message, *problems]))
        self.problems = tuple(problems)
        self.report: Any = None


class IsolationError(TunestackError, ConnectionRefusedError):
    """A connection that would leave this machine was refused, because the sandbox's pytest fixture is active."""


class MissingExtraError(TunestackError, ImportError):
    """An optional dependency is not installed; the message says how to install it."""


class GateError(TunestackError):
    """An evaluation did not pass its conditions, or is of another model; nothing was changed."""


class ProviderError(TunestackError):
    """The provider refused or failed; `__cause__` is its own error.

    Attributes:
        code: the provider's error code.
        request_id: the provider's id of the request, for a support case.
    """

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None
    ) -> None:
        """Store the provider's code and request id."""
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class AccessError(ProviderError):
    """Credentials are missing, or lack a permission."""


class CredentialsExpiredError(AccessError):
    """The credentials have expired: sign in again."""


class RoleError(AccessError):
    """Bedrock can't assume the job role: the role is a few minutes old, or its trust policy does not allow it."""


class ClockError(AccessError):
    """This machine's clock differs too much from the provider's, which rejects its requests."""


class NotFoundError(ProviderError):
    """The job, model, endpoint, bucket or parameter does not exist."""


class InvalidRequestError(ProviderError):
    """The provider rejected the request."""


class ConflictError(ProviderError):
    """It exists already with other content, or is being changed."""


class QuotaError(ProviderError):
    """A quota of the account is used up, or zero.

    Attributes:
        frees_itself: whether waiting helps, because other jobs will end: `submit(..., queue=True)` waits.
    """

    frees_itself = False


class TransientError(ProviderError):
    """Trying again later may work."""


class BusyError(TransientError):
    """The request was throttled, or the provider is unavailable."""


class NetworkError(TransientError, ConnectionError):
    """The provider can't be reached, or the connection was lost."""


class JobError(TunestackError):
    """An error of one job.

    Attributes:
        job_id: the id for `tuner.job(job_id)`.
    """

    def __init__(self, message: str, *, job_id: str) -> None:
        """Store the id of the job."""
        super().__init__(message)
        self.job_id = job_id


class StateError(JobError):
    """The operation is not possible in the present state of the job, for example because it is still running."""


class JobFailedError(JobError):
    """The job failed.

    Attributes:
        reason: the provider's message.
    """

    def __init__(self, message: str, *, job_id: str, reason: str) -> None:
        """Store the provider's message."""
        super().__init__(message, job_id=job_id)
        self.reason = reason


class JobStoppedError(JobError):
    """The job was stopped: it has no model, and what was trained is billed."""


class JobTimeoutError(JobError, TimeoutError):
    """The wait ended before the job did; the job continues."""


class JobStalledError(JobTimeoutError):
    """The job has not changed for longer than expected; it continues."""


class EndpointError(TunestackError):
    """An error of one endpoint.

    Attributes:
        endpoint_id: the name or ARN for `tuner.endpoint(endpoint_id)`.
    """

    def __init__(self, message: str, *, endpoint_id: str) -> None:
        """Store the id of the endpoint."""
        super().__init__(message)
        self.endpoint_id = endpoint_id


class EndpointFailedError(EndpointError):
    """The endpoint could not be started.

    Attributes:
        reason: the provider's message.
    """

    def __init__(self, message: str, *, endpoint_id: str, reason: str) -> None:
        """Store the provider's message."""
        super().__init__(message, endpoint_id=endpoint_id)
        self.reason = reason


class EndpointTimeoutError(EndpointError, TimeoutError):
    """The wait ended before the endpoint was ready or deleted; it may continue, and be billed."""
