"""Tells what an upgrade of a stack would lose, before it is deployed.

    aws cloudformation get-template --stack-name Tunestack-dev-us-east-1 --query TemplateBody > deployed.json
    npx cdk synth --quiet
    python -m tunestack_cdk.upgrade deployed.json cdk.out/Tunestack-dev-us-east-1.template.json

Exit status 1 if something would be.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Resources = Mapping[str, Mapping[str, Any]]

LASTING = {
    "AWS::IAM::ManagedPolicy": "roles outside the stack have it attached",
    "AWS::IAM::Role": "running jobs and armed schedules use it, and policies elsewhere name it",
    "AWS::KMS::Key": "nothing that it encrypted can be read without it",
    "AWS::Logs::LogGroup": "it holds what the guard did",
    "AWS::S3::Bucket": "it holds data",
    "AWS::SNS::Topic": "people are subscribed to it",
    "AWS::SQS::Queue": "it holds messages",
    "AWS::SSM::Parameter": "the SDK finds the deployment by it",
    "AWS::Scheduler::ScheduleGroup": "it holds the schedules that end endpoints",
}
"""What can't be made anew as it was, and why."""
_RETENTION = ("DeletionPolicy", "UpdateReplacePolicy")
_KEPT = ("Retain", "RetainExceptOnCreate")


def losses(deployed: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """Compare two templates of a stack; returns a sentence for each thing that the second would replace, lose or no longer keep.

    Which properties can't change in place is what CloudFormation's resource schemas say (`createOnlyProperties`), as
    cfn-lint carries them.
    """
    before: Resources = deployed["Resources"]
    after: Resources = planned["Resources"]
    replaced = _replaced(before, after)
    found = []
    for name, row in before.items():
        kind = row["Type"]
        if kind not in LASTING:
            continue
        what = f"{name} ({kind})"
        if name not in after:
            left = row.get("DeletionPolicy") in _KEPT
            done = "would be left behind, and no longer used" if left else "would be deleted"
            found.append(f"{what} {done}: {LASTING[kind]}")
            continue
        if name in replaced:
            found.append(
                f"{what} would be replaced, as {replaced[name]} can't change: {LASTING[kind]}"
            )
        found += [
            f"{what} would no longer be kept: {policy} changes from {row[policy]} to {after[name].get(policy, 'Delete')}"
            for policy in _RETENTION
            if row.get(policy) in _KEPT and after[name].get(policy) not in _KEPT
        ]
    return found


def _replaced(before: Resources, after: Resources) -> dict[str, str]:
    """Tell what is made anew, with the property that is the reason; one that refers to something new is changed too."""
    replaced: dict[str, str] = {}
    while True:
        more = {}
        for name in before.keys() & after.keys() - replaced.keys():
            reason = _reason(before[name], after[name], replaced)
            if reason is not None:
                more[name] = reason
        if not more:
            return replaced
        replaced |= more


def _reason(
    before: Mapping[str, Any], after: Mapping[str, Any], replaced: Mapping[str, str]
) -> str | None:
    if before["Type"] != after["Type"]:
        return "its type"
    for path in _FIXED[before["Type"]]:
        old, new = (_at(row.get("Properties", {}), path) for row in (before, after))
        if old != new or not replaced.keys().isdisjoint(_names(new)):
            return ".".join(path)
    return None


class _CreateOnly(dict[str, list[list[str]]]):
    """The properties of a type that can't be changed in place, or not always; looked up when they are asked for."""

    def __missing__(self, kind: str) -> list[list[str]]:
        try:
            schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
        except ResourceNotFoundError:  # a custom resource, which is what its function makes of it
            schema = {}
        pointers = [
            *schema.get("createOnlyProperties", ()),
            *schema.get("conditionalCreateOnlyProperties", ()),
        ]
        self[kind] = [pointer.split("/")[2:] for pointer in pointers]
        return self[kind]


_FIXED = _CreateOnly()


def _at(value: Any, path: Sequence[str]) -> Any:
    """Take what a JSON pointer leads to; a `*` stands for every item of a list."""
    for place, key in enumerate(path):
        if isinstance(value, list):
            rest = path[place + 1 :] if key == "*" else path[place:]
            return [_at(item, rest) for item in value]
        if not isinstance(value, dict) or key not in value:
            # An intrinsic function stands for the whole of what is below it.
            return value if isinstance(value, dict) and _is_call(value) else None
        value = value[key]
    return value


def _is_call(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _names(value: Any) -> Iterator[str]:
    """Name the resources that a value refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            yield from re.findall(r"\$\{([A-Za-z0-9]+)", text)
        case dict():
            for part in value.values():
                yield from _names(part)
        case list():
            for part in value:
                yield from _names(part)


def _read(file: str) -> Mapping[str, Any]:
    try:
        template: Any = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is no template: {error}") from error
    resources = template.get("Resources") if isinstance(template, dict) else None
    if resources is None:
        raise ValueError(f"{file} is no template: it has no Resources")
    return {"Resources": resources}


def main(arguments: Sequence[str]) -> str | None:
    """Compare two files; returns what to say if something is lost."""
    if len(arguments) != 2:
        return "usage: python -m tunestack_cdk.upgrade DEPLOYED.json PLANNED.json"
    try:
        deployed, planned = map(_read, arguments)
    except ValueError as error:
        return str(error)
    return "\n".join(losses(deployed, planned)) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
