"""The AWS SDK integrations of Step Functions: operations, parameters, results and errors, from botocore's service models.

Sources: Step Functions developer guide, supported-services-awssdk (resources, PascalCase parameters, names of errors, read
2026-11-29) and concepts-error-handling. The messages are publicly quoted by users (aws/aws-cdk#10014). Step Functions calls
services with the AWS SDK for Java 2, whose names it uses: `BedrockRuntime`, and `DbClusterArn` for `DBClusterArn`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import OperationModel, ServiceModel, Shape

    from tunestack_sandbox.states_language import State

_RESOURCE = re.compile(
    r"arn:aws[\w-]*:states:[\w-]*:\d*:aws-sdk:(?P<service>\w+):(?P<action>[a-z]\w*)"
    r"(?P<pattern>\.waitForTaskToken)?"
)
_SDK_PREFIX = re.compile(r"arn:aws[\w-]*:states:[\w-]*:\d*:aws-sdk:")
_OTHER_NAMES = {
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
"""botocore's names of services that differ from those of Step Functions by more than hyphens."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (str, int, float),
    "string": str,
    "blob": str,
}
_NOT_RECOGNIZED = (
    "The resource provided {} is not recognized. The value is not a valid resource ARN, "
    "or the resource is not available in this region."
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][^A-Z]*|[^A-Z]+")


def find_operation(resource: str) -> OperationModel | None:
    """Return the operation of a task's resource; `None` if Step Functions has no such integration.

    Operations that stream events are not supported, see the list of unsupported operations in the developer guide.
    """
    match = _RESOURCE.fullmatch(resource)
    model = match and _find_service(match["service"])
    if match is None or model is None:
        return None
    name = match["action"][0].upper() + match["action"][1:]
    if name not in model.operation_names:
        return None
    operation = model.operation_model(name)
    return None if operation.has_event_stream_output else operation


def build_service_name(model: ServiceModel) -> str:
    """Return the name of a service in errors, such as `BedrockRuntime`."""
    return build_sdk_name(re.sub(r"[ -]", "", model.service_id))


def build_error_name(operation: OperationModel, code: str) -> str:
    """Return the error of a task, such as `Bedrock.ThrottlingException`.

    Errors that the model of the service does not have, such as those of expired credentials, have the service's base class.
    """
    model = operation.service_model
    service = build_service_name(model)
    names = {
        name: shape.name
        for shape in model.error_shapes
        if isinstance(shape, StructureShape)
        for name in (shape.name, shape.error_code)
    }
    if code not in names:
        return f"{service}.{service}Exception"
    name = build_sdk_name(names[code].removesuffix("Fault"))
    return f"{service}.{name.removesuffix('Exception')}Exception"


def build_sdk_name(name: str) -> str:
    """Return the name that the SDK for Java gives to a member or class: `JobName` for `jobName`, `DbName` for `DBName`."""
    return "".join(word[0].upper() + word[1:].lower() for word in _WORD.findall(name))


@dataclass(slots=True)
class Parameters:
    """Converts the parameters of a task to those of botocore, and collects what Step Functions refuses."""

    is_template: bool = False
    """Whether these are the parameters of a definition, which have expressions instead of some values."""
    problems: list[str] = field(default_factory=list)

    def convert(self, value: Any, operation: OperationModel) -> dict[str, Any]:
        """Return the parameters of an operation."""
        shape = operation.input_shape
        if shape is None:
            shape = StructureShape("Empty", {"type": "structure", "members": {}})
        converted: dict[str, Any] = self._convert(value, shape, "input")
        return converted if isinstance(converted, dict) else {}

    def _convert(self, value: Any, shape: Shape, name: str) -> Any:
        if self.is_template and isinstance(value, str) and value.startswith("{%"):
            return value
        if isinstance(shape, StructureShape) and shape.is_document_type:
            return value
        match shape, value:
            case StructureShape(), dict():
                return self._convert_structure(value, shape)
            case MapShape(), dict():
                members = self._list_members(value)
                return {key: self._convert(item, shape.value, key) for key, item in members}
            case ListShape(), list():
                return [self._convert(item, shape.member, name) for item in value]
        return self._convert_scalar(value, shape, name)

    def _convert_structure(self, value: Mapping[str, Any], shape: StructureShape) -> dict[str, Any]:
        members = {build_sdk_name(name): name for name in shape.members}
        payload = shape.serialization.get("payload")
        converted = {}
        for key, item in self._list_members(value):
            name = members.get(key)
            if name is None:
                self.problems.append(f'The field "{key}" is not supported by Step Functions')
                continue
            member = shape.members[name]
            if name == payload and member.type_name == "blob":
                converted[name] = item if isinstance(item, str) else json.dumps(item)
            else:
                converted[name] = self._convert(item, member, key)
        for key, name in members.items():
            if name in shape.required_members and name not in converted:
                self.problems.append(f"The field '{key}' is required but was missing")
        return converted

    def _convert_scalar(self, value: Any, shape: Shape, name: str) -> Any:
        if shape.type_name == "string" and isinstance(value, dict | list):
            return json.dumps(value)
        is_boolean = isinstance(value, bool)
        if is_boolean != (shape.type_name == "boolean") or not isinstance(
            value, _TYPES.get(shape.type_name, ())
        ):
            return self._refuse_format(name)
        if shape.type_name == "blob":
            try:
                return base64.b64decode(str(value), validate=True)
            except binascii.Error:
                return self._refuse_format(name)
        return value

    def _refuse_format(self, name: str) -> None:
        self.problems.append(f"The value of the field '{name}' has an invalid format")

    def _list_members(self, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the members without those of JSONPath's expressions, whose values are not known."""
        for key, item in value.items():
            if self.is_template and key.endswith(".$"):
                yield key.removesuffix(".$"), "{% %}"
            else:
                yield key, item


def convert_result(value: Any, shape: Shape | None) -> Any:
    """Return the result of a task: names of the SDK for Java, times as ISO 8601, bytes as base64, and streams as text."""
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {
            build_sdk_name(name): convert_result(item, shape.members[name])
            for name, item in value.items()
            if name in shape.members  # not the metadata of the response
        }
    if isinstance(shape, MapShape):
        return {key: convert_result(item, shape.value) for key, item in value.items()}
    if isinstance(shape, ListShape):
        return [convert_result(item, shape.member) for item in value]
    return {} if shape is None else _convert_scalar_result(value)


def _convert_scalar_result(value: Any) -> Any:
    if hasattr(value, "read"):
        return value.read().decode("utf-8", "replace")
    if isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def find_problems(state: State) -> Iterator[str]:
    """Yield what Step Functions refuses in the SDK integration of a state, if it has one."""
    resource = state.fields.get("Resource")
    if state.fields.get("Type") != "Task" or not isinstance(resource, str):
        return
    if not _SDK_PREFIX.match(resource):
        return
    operation = find_operation(resource)
    if operation is None:
        yield f"{_NOT_RECOGNIZED.format(resource)} at {state.path}/Resource"
        return
    for name in ("Arguments", "Parameters"):
        if name in state.fields:
            parameters = Parameters(is_template=True)
            parameters.convert(state.fields[name], operation)
            yield from (f"{problem} at {state.path}/{name}" for problem in parameters.problems)


@cache
def _find_service(name: str) -> ServiceModel | None:
    session = _create_session()
    names = {service.replace("-", ""): service for service in session.get_available_services()}
    try:
        return session.get_service_model(_OTHER_NAMES.get(name) or names.get(name, name))
    except UnknownServiceError:
        return None


@cache
def _create_session() -> botocore.session.Session:
    return botocore.session.Session()
