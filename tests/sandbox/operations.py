"""Calls of each Bedrock operation of the sandbox, and the expected responses: the successful call and each error."""

from dataclasses import dataclass, field

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tests.sandbox.operation_parameters import PARAMETERS, Parameters
from tunestack_sandbox.bedrock import OPERATIONS

SERVICES = ("bedrock", "bedrock-runtime")
MODELS = {
    name: ServiceModel(Loader().load_service_model(name, "service-2"), name) for name in SERVICES
}
# Errors that only the service itself causes: the tests inject them as faults.
INJECTED_ERRORS = {
    "InternalServerException",
    "ModelErrorException",
    "ModelStreamErrorException",
    "ModelTimeoutException",
    "ServiceUnavailableException",
    "ThrottlingException",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call of an operation and its expected error."""

    operation: str
    case: str
    code: str | None = None
    """The expected error code; `None` for a successful call."""
    params: Parameters = field(default_factory=dict)
    """Parameters with placeholders such as `{model}`, which the test account replaces."""
    is_injected: bool = False
    is_unauthorized: bool = False
    """Whether to call with a role that has no permissions."""

    @property
    def service(self):
        return next(
            name for name, model in MODELS.items() if self.operation in model.operation_names
        )

    @property
    def model(self):
        return MODELS[self.service].operation_model(self.operation)


def list_cases(operation):
    """Return the cases of an operation: success, errors, missing permission, and faults for all other listed errors."""
    success, *errors = PARAMETERS[operation]
    cases = [Case(operation=operation, case="success", params=success)]
    cases += [
        Case(operation=operation, case=case, code=code, params=params)
        for case, code, params in errors
    ]
    listed = [shape.name for shape in cases[0].model.error_shapes]
    if "AccessDeniedException" in listed:
        cases.append(
            Case(
                operation=operation,
                case="a caller without permission",
                code="AccessDeniedException",
                params=success,
                is_unauthorized=True,
            )
        )
    covered = {case.code for case in cases}
    cases += [
        Case(
            operation=operation, case="injected fault", code=code, params=success, is_injected=True
        )
        for code in listed
        if code not in covered
    ]
    return cases


CASES = [case for operation in sorted(OPERATIONS) for case in list_cases(operation)]
