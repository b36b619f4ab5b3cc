"""The Amazon States Language: the states of a definition, their fields and their transitions.

Source: states-language.net/spec.html, and the Step Functions developer guide on each state. The messages are publicly quoted
by users (sam-goodwin/functionless#308, floci-io/floci#2735).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALL = "Type Comment QueryLanguage"
_STEP = "Next End Assign"
_ERRORS = "Retry Catch"
_FIELDS = {
    "Task": f"{_STEP} {_ERRORS} Resource Credentials TimeoutSeconds HeartbeatSeconds",
    "Pass": _STEP,
    "Wait": f"{_STEP} Seconds Timestamp",
    "Choice": "Choices Default Assign",
    "Succeed": "",
    "Fail": "Error Cause",
    "Parallel": f"{_STEP} {_ERRORS} Branches",
    "Map": f"{_STEP} {_ERRORS} ItemProcessor Iterator ItemReader ItemSelector ItemBatcher ResultWriter "
    "MaxConcurrency ToleratedFailureCount ToleratedFailurePercentage Label",
}
"""The fields of each type of state."""
_PATHS = "InputPath OutputPath"
_RESULTS = f"{_PATHS} Parameters ResultSelector ResultPath"
_LANGUAGE_FIELDS = {
    "JSONPath": {
        "Task": f"{_RESULTS} TimeoutSecondsPath HeartbeatSecondsPath",
        "Pass": f"{_PATHS} Parameters Result ResultPath",
        "Wait": f"{_PATHS} SecondsPath TimestampPath",
        "Choice": _PATHS,
        "Succeed": _PATHS,
        "Fail": "ErrorPath CausePath",
        "Parallel": _RESULTS,
        "Map": f"{_RESULTS} ItemsPath MaxConcurrencyPath ToleratedFailureCountPath "
        "ToleratedFailurePercentagePath",
    },
    "JSONata": {
        "Task": "Arguments Output",
        "Pass": "Output",
        "Wait": "Output",
        "Choice": "Output",
        "Succeed": "Output",
        "Fail": "",
        "Parallel": "Arguments Output",
        "Map": "Items Output",
    },
}
_WAIT_FIELDS = {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"}
_REQUIRED = {"Task": "Resource", "Choice": "Choices", "Parallel": "Branches"}


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A state of a definition."""

    path: str
    """The location in the definition, such as `/States/Wait`."""
    fields: Mapping[str, Any]
    language: str
    siblings: frozenset[str]
    """The names of the states that it can go to."""


def list_states(machine: Any, path: str = "", language: str = "JSONPath") -> Iterator[State]:
    """Yield the states of a definition, with those of nested machines."""
    if not isinstance(machine, dict) or not isinstance(machine.get("States"), dict):
        return
    language = machine.get("QueryLanguage", language)
    for name, fields in machine["States"].items():
        if not isinstance(fields, dict):
            continue
        state = State(
            path=f"{path}/States/{name}",
            fields=fields,
            language=fields.get("QueryLanguage", language),
            siblings=frozenset(machine["States"]),
        )
        yield state
        for nested_path, nested in _list_machines(state):
            yield from list_states(nested, nested_path, language)


def find_problems(definition: Any) -> Iterator[str]:
    """Yield what Step Functions refuses in a definition, apart from the parameters of tasks."""
    yield from _find_machine_problems(definition, "")
    for state in list_states(definition):
        for path, machine in _list_machines(state):
            yield from _find_machine_problems(machine, path)
        yield from _find_state_problems(state)


def _list_machines(state: State) -> Iterator[tuple[str, Any]]:
    """Yield the paths and definitions of the machines in a Parallel or Map state."""
    branches = state.fields.get("Branches")
    for number, branch in enumerate(branches if isinstance(branches, list) else ()):
        yield f"{state.path}/Branches[{number}]", branch
    for name in ("ItemProcessor", "Iterator"):
        if name in state.fields:
            yield f"{state.path}/{name}", state.fields[name]


def _find_machine_problems(machine: Any, path: str) -> Iterator[str]:
    if not isinstance(machine, dict) or not isinstance(machine.get("States"), dict):
        yield f"SCHEMA_VALIDATION_FAILED: The required field 'States' is missing at {path or '/'}"
    elif "StartAt" not in machine:
        yield f"SCHEMA_VALIDATION_FAILED: The required field 'StartAt' is missing at {path or '/'}"
    elif machine["StartAt"] not in machine["States"]:
        yield _build_missing_target("StartAt", machine["StartAt"], path)


def _find_state_problems(state: State) -> Iterator[str]:
    kind, fields = state.fields.get("Type"), state.fields
    if kind not in _FIELDS or state.language not in _LANGUAGE_FIELDS:
        yield f"SCHEMA_VALIDATION_FAILED: Invalid Type or QueryLanguage at {state.path}"
        return
    known = f"{_ALL} {_FIELDS[kind]} {_LANGUAGE_FIELDS[state.language][kind]}".split()
    for name in sorted(fields.keys() - set(known)):
        yield f"SCHEMA_VALIDATION_FAILED: Field '{name}' is not supported at {state.path}"
    required = _REQUIRED.get(kind)
    if required is not None and required not in fields:
        yield f"SCHEMA_VALIDATION_FAILED: The required field '{required}' is missing at {state.path}"
    if "Next" in known and ("Next" in fields) == (fields.get("End") is True):
        yield f"SCHEMA_VALIDATION_FAILED: Exactly one of Next and End is required at {state.path}"
    if kind == "Wait" and len(fields.keys() & _WAIT_FIELDS) != 1:
        yield f"SCHEMA_VALIDATION_FAILED: Exactly one duration or time is required at {state.path}"
    for path, name, target in _list_targets(state):
        if target not in state.siblings:
            yield _build_missing_target(name, target, path)


def _list_targets(state: State) -> Iterator[tuple[str, str, Any]]:
    """Yield the path, name and value of each field with the name of another state."""
    rows = [(state.path, state.fields)]
    for name in ("Choices", "Catch"):
        values = state.fields.get(name)
        rows += [
            (f"{state.path}/{name}[{number}]", row)
            for number, row in enumerate(values if isinstance(values, list) else ())
            if isinstance(row, dict)
        ]
    for path, row in rows:
        yield from ((path, name, row[name]) for name in ("Next", "Default") if name in row)


def _build_missing_target(name: str, target: Any, path: str) -> str:
    return f"MISSING_TRANSITION_TARGET: Missing '{name}' target: {target} at {path}/{name}"
