"""Mutants of a template: copies that differ in one property, statement, list item or resource."""

import copy
from functools import partial

COSMETIC_KEYS = (
    "Description",
    "AlarmDescription",
    "Metadata",
    "DisplayName",
    "Sid",
    "GroupDescription",
)
"""Keys for people and tools: they change nothing that is deployed."""


def generate_mutants(template):
    """Yield a description of each mutant, and a function that builds its template, which takes milliseconds."""
    for name, row in template["Resources"].items():
        for path, value in generate_paths(row):
            if set(path) & set(COSMETIC_KEYS) or path[0] == "DependsOn" or path == ["Type"]:
                continue
            dotted = ".".join(map(str, path))
            yield f"{name}: without {dotted}", partial(remove_value, template, name, path)
            for change, other in generate_wrong_values(path, value):
                if other != value:
                    build = partial(replace_value, template, name, path, other)
                    yield f"{name}: {dotted} {change}", build
    for name in template["Resources"]:
        yield f"without {name}", partial(remove_resource, template, name)


def generate_paths(value, path=()):
    """Yield the path and value of everything that can be removed; an intrinsic function counts as one value."""
    is_intrinsic = isinstance(value, dict) and any(
        key == "Ref" or key.startswith("Fn::") for key in value
    )
    if path:
        yield list(path), value
    if is_intrinsic:
        return
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    else:
        return
    for key, part in parts:
        yield from generate_paths(part, (*path, key))


def generate_wrong_values(path, value):
    if value is True or value is False:
        yield "inverted", not value
    if path[-1] in ("DeletionPolicy", "UpdateReplacePolicy"):
        yield "inverted", "Delete" if value == "Retain" else "Retain"
    if path[-1] == "Action" and isinstance(value, str):
        yield "wider", value.split(":")[0] + ":*"
    if path[-1] == "Principal":
        yield "any principal", "*"
    if path[-1] == "Resource":
        yield "any resource", "*"
    if path[-1] == "Effect":
        yield "inverted", "Deny" if value == "Allow" else "Allow"
    if isinstance(value, int) and not isinstance(value, bool):
        yield "ten times", value * 10


def remove_resource(template, name):
    return {
        **template,
        "Resources": {key: row for key, row in template["Resources"].items() if key != name},
    }


def remove_value(template, name, path):
    mutant, parent = copy_to_parent(template, name, path)
    del parent[path[-1]]
    return mutant


def replace_value(template, name, path, value):
    mutant, parent = copy_to_parent(template, name, path)
    parent[path[-1]] = value
    return mutant


def copy_to_parent(template, name, path):
    """Return a copy of a template, and the object or list in it that contains the last key of the path."""
    mutant = copy.deepcopy(template)
    parent = mutant["Resources"][name]
    for key in path[:-1]:
        parent = parent[key]
    return mutant, parent
