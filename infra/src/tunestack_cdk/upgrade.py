"""List the resources that an upgrade of a deployed stack would replace, delete or no longer retain.

    aws cloudformation get-template --stack-name Tunestack-dev-us-east-1 --query TemplateBody > deployed.json
    npx cdk synth --quiet
    python -m tunestack_cdk.upgrade deployed.json cdk.out/Tunestack-dev-us-east-1.template.json

The exit status is 1 if there are any, or if a file can't be read.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Resources = Mapping[str, Mapping[str, Any]]

STATEFUL_TYPES = {
    "AWS::IAM::ManagedPolicy": "it is attached to roles outside the stack",
    "AWS::IAM::Role": "running jobs and schedules use it, and other policies name it",
    "AWS::KMS::Key": "data encrypted with it can't be read without it",
    "AWS::Logs::LogGroup": "it contains the log of the endpoint guard",
    "AWS::S3::Bucket": "it contains data",
    "AWS::SNS::Topic": "it has subscriptions",
    "AWS::SQS::Queue": "it contains messages",
    "AWS::SSM::Parameter": "the SDK finds the deployment through it",
    "AWS::Scheduler::ScheduleGroup": "it contains the schedules that delete endpoints",
}
"""Resource types that can't be recreated with their content, and the reason."""
_RETENTION_ATTRIBUTES = ("DeletionPolicy", "UpdateReplacePolicy")
_RETAIN_VALUES = ("Retain", "RetainExceptOnCreate")


def find_losses(deployed: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """Compare the deployed template of a stack with a planned one.

    ```python
    for loss in find_losses(deployed, planned):
        print(loss)
    ```

    The properties that force a replacement come from the CloudFormation resource schemas (`createOnlyProperties`) that
    cfn-lint contains.

    Returns:
        One sentence for each resource that the planned template would replace, delete or no longer retain.
    """
    before: Resources = deployed["Resources"]
    after: Resources = planned["Resources"]
    replacements = _find_replacements(before, after)
    losses = []
    for name, resource in before.items():
        kind = resource["Type"]
        if kind not in STATEFUL_TYPES:
            continue
        label, reason = f"{name} ({kind})", STATEFUL_TYPES[kind]
        if name not in after:
            is_retained = resource.get("DeletionPolicy") in _RETAIN_VALUES
            effect = "would be retained, but no longer used" if is_retained else "would be deleted"
            losses.append(f"{label} {effect}: {reason}")
            continue
        if name in replacements:
            losses.append(
                f"{label} would be replaced because {replacements[name]} changes: {reason}"
            )
        losses += [
            f"{label} would no longer be retained: {attribute} changes from {resource[attribute]} to "
            f"{after[name].get(attribute, 'Delete')}"
            for attribute in _RETENTION_ATTRIBUTES
            if resource.get(attribute) in _RETAIN_VALUES
            and after[name].get(attribute) not in _RETAIN_VALUES
        ]
    return losses


def _find_replacements(before: Resources, after: Resources) -> dict[str, str]:
    """Map each resource that is replaced to the property that forces it, which may refer to another replaced resource."""
    replacements: dict[str, str] = {}
    while True:
        new = {}
        for name in before.keys() & after.keys() - replacements.keys():
            reason = _get_replacement_reason(before[name], after[name], replacements)
            if reason is not None:
                new[name] = reason
        if not new:
            return replacements
        replacements |= new


def _get_replacement_reason(
    before: Mapping[str, Any], after: Mapping[str, Any], replacements: Mapping[str, str]
) -> str | None:
    if before["Type"] != after["Type"]:
        return "its type"
    for path in _CREATE_ONLY[before["Type"]]:
        old, new = (_get_path(row.get("Properties", {}), path) for row in (before, after))
        if old != new or not replacements.keys().isdisjoint(_find_references(new)):
            return ".".join(path)
    return None


class _CreateOnlyProperties(dict[str, list[list[str]]]):
    """Paths of the properties that always or sometimes force a replacement, by resource type; loaded on first use."""

    def __missing__(self, kind: str) -> list[list[str]]:
        from cfnlint.schema import (  # noqa: PLC0415 - takes a second
            PROVIDER_SCHEMA_MANAGER,
            ResourceNotFoundError,
        )

        try:
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        except ResourceNotFoundError:  # A custom resource has no schema.
            schema = {}
        pointers = [
            *schema.get("createOnlyProperties", ()),
            *schema.get("conditionalCreateOnlyProperties", ()),
        ]
        self[kind] = [pointer.split("/")[2:] for pointer in pointers]
        return self[kind]


_CREATE_ONLY = _CreateOnlyProperties()


def _get_path(value: Any, path: Sequence[str]) -> Any:
    """Return the value at a JSON pointer; `*` matches every item of a list."""
    for index, key in enumerate(path):
        if isinstance(value, list):
            rest = path[index + 1 :] if key == "*" else path[index:]
            return [_get_path(item, rest) for item in value]
        if not isinstance(value, dict) or key not in value:
            # An intrinsic function replaces the whole value, including the rest of the path.
            return value if isinstance(value, dict) and _is_intrinsic(value) else None
        value = value[key]
    return value


def _is_intrinsic(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _find_references(value: Any) -> Iterator[str]:
    """Return the logical IDs of the resources that a value refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            yield from re.findall(r"\$\{([A-Za-z0-9]+)", text)
        case dict():
            for part in value.values():
                yield from _find_references(part)
        case list():
            for part in value:
                yield from _find_references(part)


def _read_template(file: str) -> Mapping[str, Any]:
    try:
        template: Any = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"invalid template {file}: {error}") from error
    resources = template.get("Resources") if isinstance(template, dict) else None
    if resources is None:
        raise ValueError(f"invalid template {file}: it has no Resources")
    return {"Resources": resources}


def main(arguments: Sequence[str]) -> str | None:
    """Compare two template files; return the losses or an error message, or `None` if nothing is lost."""
    if len(arguments) != 2:
        return "usage: python -m tunestack_cdk.upgrade DEPLOYED.json PLANNED.json"
    try:
        deployed, planned = map(_read_template, arguments)
    except ValueError as error:
        return str(error)
    return "\n".join(find_losses(deployed, planned)) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
