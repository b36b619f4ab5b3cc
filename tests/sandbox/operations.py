"""What each operation of the sandbox's Bedrock is asked, and what it must answer: its good path and each of its errors."""

from dataclasses import dataclass, field

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tests.sandbox.operation_parameters import PARAMETERS
from tunestack_sandbox.bedrock import OPERATIONS

SERVICES = ("bedrock", "bedrock-runtime")
MODELS = {
    name: ServiceModel(Loader().load_service_model(name, "service-2"), name) for name in SERVICES
}
# Errors that nothing but the service itself brings about: let happen as faults.
BY_FAULT = {
    "InternalServerException",
    "ModelErrorException",
    "ModelStreamErrorException",
    "ModelTimeoutException",
    "ServiceUnavailableException",
    "ThrottlingException",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call."""

    operation: str
    case: str
    code: str | None = None
    """The error; `None` where there must be none."""
    params: dict = field(default_factory=dict)
    """With `{names}` of what the world has."""
    fault: bool = False
    as_nobody: bool = False
    """As a role that may nothing."""

    @property
    def service(self):
        return next(
            name for name, model in MODELS.items() if self.operation in model.operation_names
        )

    @property
    def model(self):
        return MODELS[self.service].operation_model(self.operation)


def cases_of(operation):
    """List the good path, what goes wrong by itself, who may not, and what is let happen: every error that is listed."""
    good, *wrong = PARAMETERS[operation]
    found = [Case(operation=operation, case="as it should be", params=good)]
    found += [
        Case(operation=operation, case=case, code=code, params=params)
        for case, code, params in wrong
    ]
    listed = [shape.name for shape in found[0].model.error_shapes]
    if "AccessDeniedException" in listed:
        found.append(
            Case(
                operation=operation,
                case="a caller without permission",
                code="AccessDeniedException",
                params=good,
                as_nobody=True,
            )
        )
    covered = {case.code for case in found}
    found += [
        Case(operation=operation, case="let happen as a fault", code=code, params=good, fault=True)
        for code in listed
        if code not in covered
    ]
    return found


CASES = [case for operation in sorted(OPERATIONS) for case in cases_of(operation)]
