"""Every exception that Tunestack raises.

```
TunestackError
├── ConfigError (ValueError)          a bad argument or setting: says what is allowed
│   ├── ContractError                 no deployment, or one of another version: says `cdk deploy`
│   ├── ModelError                    the model can't be tuned (here): names those that can
│   ├── HyperparameterError           unknown name or value out of range: says the range
│   └── CostError                     it would cost more than was allowed; nothing was paid
├── DataError (ValueError)            training data that the job would fail on: every problem, with its line
├── IsolationError (ConnectionRefusedError) a connection that would leave the machine while the sandbox is active
├── MissingExtraError (ImportError)   an optional dependency is not installed: says which extra
├── ProviderError                     the vendor refused or failed; `__cause__` is the vendor's error
│   ├── AccessError                   credentials missing, or without the permission
│   │   ├── CredentialsExpiredError   sign in again
│   │   └── ClockError                this machine's clock is wrong: says by how much
│   ├── NotFoundError                 no such job, model, endpoint, bucket or parameter
│   ├── InvalidRequestError           the vendor does not take the request as it is
│   ├── ConflictError                 it exists already with other content, or is busy changing
│   ├── QuotaError                    a quota is used up: says which, and what to ask for
│   └── BusyError                     throttled, unavailable or unreachable: try again later
├── JobError                          about one job
│   ├── JobFailedError                it failed; `reason` in the vendor's words
│   ├── JobStoppedError               it was stopped: no model, and what was trained is billed
│   └── JobTimeoutError (TimeoutError)      the wait ended, the job goes on
│       └── JobStalledError           nothing has changed for longer than it should take
└── EndpointError                     about one endpoint
    ├── EndpointFailedError           it could not be started; `reason` in the vendor's words
    └── EndpointTimeoutError (TimeoutError) the wait ended, the endpoint may go on (and be billed)
```
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_QUOTE = 60


def shortened(value: object) -> str:
    """Quote what a caller gave in a message, but never at any length."""
    try:
        quoted = repr(value.value if isinstance(value, Enum) else value)
    except ValueError:  # an int of thousands of digits
        quoted = f"a {type(value).__name__}"
    return quoted if len(quoted) <= _LONGEST_QUOTE else f"{quoted[: _LONGEST_QUOTE - 3]}..."


class TunestackError(Exception):
    """The root of everything that Tunestack raises; can be pickled, to cross processes."""

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the attributes that a subclass's constructor asks for."""
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
    """A bad argument or setting; the message says what is allowed."""


class ContractError(ConfigError):
    """The account has no (readable) deployment, or one of another version."""


class ModelError(ConfigError):
    """The model can't be fine-tuned, or not in this region; the message names those that can."""


class HyperparameterError(ConfigError):
    """A hyperparameter that the model does not have, or a value out of its range."""


class CostError(ConfigError):
    """What was asked for would cost more than was allowed, or nobody knows; nothing was paid."""


class DataError(TunestackError, ValueError):
    """Training data that the job would fail on.

    Attributes:
        problems: one line of text for each problem that the message shows, in the order of the data.
        report: all that was found, a `tunestack.records.Report`, where the data could be read.
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


class ProviderError(TunestackError):
    """The vendor refused or failed; `__cause__` is the vendor's own error.

    Attributes:
        code: the vendor's error code, as on the wire.
        request_id: the vendor's id of the request, for a support case.
    """

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None
    ) -> None:
        """Keep the vendor's code and request id beside the message."""
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class AccessError(ProviderError):
    """Credentials are missing, or lack the permission."""


class CredentialsExpiredError(AccessError):
    """The credentials have expired: sign in again."""


class ClockError(AccessError):
    """This machine's clock is too far from the vendor's for a request to be believed; the message says how far."""


class NotFoundError(ProviderError):
    """There is no such job, model, endpoint, bucket or parameter."""


class InvalidRequestError(ProviderError):
    """The vendor does not take the request as it is, or not now."""


class ConflictError(ProviderError):
    """It exists already with other content, or is busy changing."""


class QuotaError(ProviderError):
    """A quota of the account is used up, or zero.

    Attributes:
        frees_itself: whether waiting helps, as where other jobs have to end first: `submit(..., queue=True)` waits.
    """

    frees_itself = False


class BusyError(ProviderError):
    """Throttled, unavailable or unreachable; trying again later may work."""


class JobError(TunestackError):
    """Something about one job.

    Attributes:
        job_id: the id that `tuner.job(job_id)` attaches to.
    """

    def __init__(self, message: str, *, job_id: str) -> None:
        """Keep the job's id beside the message."""
        super().__init__(message)
        self.job_id = job_id


class JobFailedError(JobError):
    """The job failed.

    Attributes:
        reason: the vendor's own words.
    """

    def __init__(self, message: str, *, job_id: str, reason: str) -> None:
        """Keep the vendor's words beside the message."""
        super().__init__(message, job_id=job_id)
        self.reason = reason


class JobStoppedError(JobError):
    """The job was stopped: there is no model, and what was trained is billed."""


class JobTimeoutError(JobError, TimeoutError):
    """The wait ended before the job did; the job goes on."""


class JobStalledError(JobTimeoutError):
    """The job has not changed for longer than it should take; it goes on."""


class EndpointError(TunestackError):
    """Something about one endpoint.

    Attributes:
        endpoint_id: the name or ARN that `tuner.endpoint(endpoint_id)` attaches to.
    """

    def __init__(self, message: str, *, endpoint_id: str) -> None:
        """Keep the endpoint's id beside the message."""
        super().__init__(message)
        self.endpoint_id = endpoint_id


class EndpointFailedError(EndpointError):
    """The endpoint could not be started.

    Attributes:
        reason: the vendor's own words.
    """

    def __init__(self, message: str, *, endpoint_id: str, reason: str) -> None:
        """Keep the vendor's words beside the message."""
        super().__init__(message, endpoint_id=endpoint_id)
        self.reason = reason


class EndpointTimeoutError(EndpointError, TimeoutError):
    """The wait ended before the endpoint was ready or gone; it may go on, and be billed."""
