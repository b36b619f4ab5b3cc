"""Checks of state machines in MiniStack's Step Functions: their definition, and whether their role can be assumed.

MiniStack accepts every definition and role. The messages are AWS's, publicly quoted by users.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tunestack_sandbox import sdk_integrations, states_language
from tunestack_sandbox.emulator_tasks import explain_role_denial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NOT_TRUSTED = (
    "Neither the global service principal states.amazonaws.com, nor the regional one is "
    "authorized to assume the provided role."
)


def install() -> None:
    """Check the state machines of requests and stacks."""
    from ministack.services import stepfunctions  # noqa: PLC0415 - reads the environment on import
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    for name, check in (
        ("_create_state_machine", _create_machine),
        ("_update_state_machine", _update_machine),
        ("_validate_definition_jsonata", _find_definition_error),
    ):
        setattr(stepfunctions, name, partial(check, getattr(stepfunctions, name)))
    stepfunctions._validate_state_machine_definition = _validate_definition  # noqa: SLF001
    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]  # noqa: SLF001
    handlers["create"] = partial(_create_resource, handlers["create"])


def _find_definition_error(find_error: Callable[[Any], str | None], definition: Any) -> str | None:
    """Return AWS's message for an invalid definition."""
    message = find_error(definition)
    try:
        problems = _find_problems(json.loads(definition))
    except (TypeError, ValueError) as error:
        problems = [f"INVALID_JSON_DESCRIPTION: {error}"]
    if message is not None:
        problems.insert(0, message)
    return f"Invalid State Machine Definition: '{', '.join(problems)}'" if problems else None


def _find_problems(definition: Any) -> list[str]:
    return [
        *states_language.find_problems(definition),
        *(
            f"SCHEMA_VALIDATION_FAILED: {problem}"
            for state in states_language.list_states(definition)
            for problem in sdk_integrations.find_problems(state)
        ),
    ]


def _validate_definition(data: Mapping[str, Any]) -> Any:
    """Respond to ValidateStateMachineDefinition."""
    from ministack.core.responses import json_response  # noqa: PLC0415
    from ministack.services import stepfunctions  # noqa: PLC0415

    message = stepfunctions._validate_definition_jsonata(data.get("definition"))  # noqa: SLF001
    if message is None:
        return json_response({"result": "OK", "diagnostics": []})
    row = {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message}
    return json_response({"result": "FAIL", "diagnostics": [row]})


def _create_machine(create: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    """Create a state machine, if Step Functions can assume its role."""
    from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415

    arn = f"arn:aws:states:{get_region()}:{get_account_id()}:stateMachine:{data.get('name')}"
    return _build_role_error(data, arn) or create(data)


def _update_machine(update: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    """Update a state machine, if Step Functions can assume its role."""
    arn = str(data.get("stateMachineArn"))
    return _build_role_error(data, arn) or update(data)


def _build_role_error(data: Mapping[str, Any], arn: str) -> Any:
    from ministack.core.responses import error_response_json  # noqa: PLC0415

    role = data.get("roleArn")
    if role is None or explain_role_denial(role, machine_arn=arn) is None:
        return None
    return error_response_json("AccessDeniedException", _NOT_TRUSTED, 400)


def _create_resource(
    create: Callable[..., Any], logical_id: str, properties: Mapping[str, Any], stack: str
) -> Any:
    """Create a state machine of a stack, if its definition is valid and Step Functions can assume its role."""
    from ministack.services import stepfunctions  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    definition = provisioners._sfn_definition(properties)  # noqa: SLF001
    message = stepfunctions._validate_definition_jsonata(definition)  # noqa: SLF001
    if message is not None:
        raise ValueError(_build_reason(message, "InvalidDefinition"))
    arn, attributes = create(logical_id, properties, stack)
    if explain_role_denial(str(properties.get("RoleArn")), machine_arn=arn) is not None:
        stepfunctions._delete_state_machine({"stateMachineArn": arn})  # noqa: SLF001
        raise ValueError(_build_reason(_NOT_TRUSTED, "AccessDenied"))
    return arn, attributes


def _build_reason(message: str, code: str) -> str:
    return (
        f'Resource handler returned message: "{message} (Service: Sfn, Status Code: 400)" '
        f"(HandlerErrorCode: {code})"
    )
