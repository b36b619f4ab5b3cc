"""The AWS SDK integrations of MiniStack's Step Functions: real requests with the credentials of the execution role.

Requests to Bedrock go to the sandbox's Bedrock, all others to MiniStack, whose own integrations lack services and roles.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from tunestack_sandbox.addresses import LOOPBACK
from tunestack_sandbox.emulator_permissions import explain_denial
from tunestack_sandbox.sdk_integrations import (
    Parameters,
    build_error_name,
    build_service_name,
    convert_result,
    find_operation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, ServiceModel

SERVICE = "states.amazonaws.com"
_READ_TIMEOUT = 3600
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskContext:
    """The task state that the current thread executes."""

    execution: Mapping[str, Any]
    state: str
    field: str
    """The field with the parameters: `Arguments` or `Parameters`."""

    def build_cause(self, parameters: Any, problems: list[str]) -> str:
        """Build the cause of a task that can't start. Users quote it publicly."""
        event = max((event["id"] for event in self.execution["events"]), default=0)
        return (
            f"An error occurred while executing the state '{self.state}' (entered at the event id "
            f"#{event}). The {self.field} '{json.dumps(parameters)}' could not be used to start "
            f"the Task: [{', '.join(problems)}]"
        )


TASK: ContextVar[TaskContext | None] = ContextVar("TASK", default=None)


def invoke(resource: str, parameters: Any) -> Any:
    """Call an operation for a task, and return its result."""
    from ministack.services.stepfunctions import _ExecutionError  # noqa: PLC0415

    operation, task = find_operation(resource), TASK.get()
    if operation is None or task is None:
        raise _ExecutionError("States.Runtime", f"The sandbox does not support {resource} here.")
    converter = Parameters()
    converted = converter.convert(parameters, operation)
    if converter.problems:
        raise _ExecutionError("States.Runtime", task.build_cause(parameters, converter.problems))
    client = _create_role_client(operation.service_model.service_name, task)
    response = _call(client, operation, converted)
    return convert_result(response, operation.output_shape)


def invoke_function(function: str, event: Any) -> Any:
    """Invoke a Lambda function for a task as the execution role, and return its result.

    Source: Step Functions developer guide, connect-lambda and concepts-error-handling: the error is that of the function.
    """
    from ministack.services.stepfunctions import _ExecutionError  # noqa: PLC0415

    task = TASK.get()
    if task is None:
        raise _ExecutionError("States.Runtime", "The sandbox does not invoke functions here.")
    client = _create_role_client("lambda", task)
    operation = client.meta.service_model.operation_model("Invoke")
    parameters = {"FunctionName": function, "Payload": json.dumps(event)}
    response = _call(client, operation, parameters)
    result = json.loads(response["Payload"].read() or b"null")
    if "FunctionError" in response:
        error = result if isinstance(result, dict) else {}
        raise _ExecutionError(error.get("errorType", "Lambda.Unknown"), json.dumps(result))
    return result


def _create_role_client(service: str, task: TaskContext) -> Any:
    """Create a client with the credentials of the execution role."""
    from ministack.core.responses import get_region  # noqa: PLC0415
    from ministack.services.stepfunctions import _ExecutionError  # noqa: PLC0415

    machine = find_machine(task.execution)
    role = "" if machine is None else machine["roleArn"]
    denial = explain_role_denial(role, machine_arn=get_machine_arn(task.execution))
    if denial is not None:
        raise _ExecutionError("States.Permissions", denial)
    credentials = _create_credentials(role, task.execution["executionArn"])
    with _lock:  # sessions are not thread-safe
        return _create_client(service, get_region(), *credentials)


def find_machine(execution: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the state machine of an execution; `None` if it was deleted."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    machine: dict[str, Any] | None = stepfunctions._state_machines.get(get_machine_arn(execution))  # noqa: SLF001
    return machine


def get_machine_arn(execution: Mapping[str, Any]) -> str:
    """Return the ARN of the state machine, also of an execution of its distributed map."""
    arn: str = execution["stateMachineArn"]
    return arn.partition("/")[0]


def explain_role_denial(role: str, *, machine_arn: str) -> str | None:
    """Return why Step Functions can't assume a role for a state machine; `None` if it can.

    Source: Step Functions developer guide, procedure-create-iam-role (condition keys).
    """
    from ministack.core.responses import get_account_id  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    record = iam._roles.get(role.rsplit("/", 1)[-1])  # noqa: SLF001
    if record is None or record["Arn"] != role:
        return f"The role {role} does not exist."
    return explain_denial(
        SERVICE,
        "sts:AssumeRole",
        role,
        policy=record["AssumeRolePolicyDocument"],
        context={"aws:SourceArn": machine_arn, "aws:SourceAccount": get_account_id()},
    )


def _create_credentials(role: str, execution: str) -> tuple[str, str, str]:
    """Create the credentials of the role, in a session with a name of its own for each execution."""
    from ministack.core.responses import get_account_id  # noqa: PLC0415
    from ministack.services import iam, sts  # noqa: PLC0415

    name = role.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{execution} {role}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest[24:]
    session = {
        "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/{digest[:32]}",
        "UserId": f"{iam._roles[name]['RoleId']}:{digest[:32]}",  # noqa: SLF001
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    return key, secret, token


@lru_cache(maxsize=256)
def _create_client(service: str, region: str, key: str, secret: str, token: str) -> Any:
    session = _get_session()
    return session.create_client(
        service,
        region,
        endpoint_url=_find_endpoint(session.get_service_model(service)),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        verify=_find_certificate(),
        config=Config(
            # Whether Step Functions retries requests itself is not documented.
            retries={"total_max_attempts": 1},
            read_timeout=_READ_TIMEOUT,
            s3={"addressing_style": "path"},
            proxies={},
        ),
    )


@lru_cache
def _get_session() -> botocore.session.Session:
    return botocore.session.Session()


def _find_endpoint(model: ServiceModel) -> str:
    """Return the URL of a service: that of the sandbox, or MiniStack's."""
    from ministack.core import tls  # noqa: PLC0415

    name = f"AWS_ENDPOINT_URL_{model.service_id.upper().replace(' ', '_')}"
    scheme = "https" if tls.use_ssl_enabled() else "http"
    return os.environ.get(name) or f"{scheme}://{LOOPBACK}:{os.environ['GATEWAY_PORT']}"


def _find_certificate() -> str | None:
    from ministack.core import tls  # noqa: PLC0415

    certificate: str | None = tls.resolve_tls_material()[0] if tls.use_ssl_enabled() else None
    return certificate


def _call(client: Any, operation: OperationModel, parameters: Mapping[str, Any]) -> Any:
    from ministack.services.stepfunctions import _ExecutionError  # noqa: PLC0415

    service = build_service_name(operation.service_model)
    try:
        response = getattr(client, xform_name(operation.name))(**parameters)
    except ClientError as error:
        metadata, details = error.response["ResponseMetadata"], error.response["Error"]
        raise _ExecutionError(
            build_error_name(operation, details["Code"]),
            f"{details['Message']} (Service: {service}, Status Code: {metadata['HTTPStatusCode']}, "
            f"Request ID: {metadata.get('RequestId')})",
        ) from error
    except ParamValidationError as error:
        raise _ExecutionError("States.Runtime", str(error)) from error
    except BotoCoreError as error:  # such as a lost response
        raise _ExecutionError(
            f"{service}.SdkClientException", f"Unable to execute HTTP request: {error}"
        ) from error
    return response
