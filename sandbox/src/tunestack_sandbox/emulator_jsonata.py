"""Fields of JSONata states that MiniStack's Step Functions ignores: those of Parallel, Succeed and distributed Map states.

Source: Step Functions developer guide, transforming-data.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TRANSITIONS = ("Next", "End")
_ITEMS = "MapItems"
"""The name of a Map's items in the context of its execution, where MiniStack finds them by a path."""


class _Items(list[Any]):
    """Items that MiniStack does not copy with the context, once for each item."""

    def __deepcopy__(self, _: object) -> _Items:
        return self


def install() -> None:
    """Change the states of MiniStack."""
    from ministack.services import stepfunctions  # noqa: PLC0415 - reads the environment on import

    for name, change in (
        ("_apply_output_path", _apply_output),
        ("_resolve_params_obj", _resolve_template),
        ("_run_distributed_map", _run_distributed_map),
        ("_run_parallel_branches", _run_branches),
    ):
        setattr(stepfunctions, name, partial(change, getattr(stepfunctions, name)))


def is_jsonata(state: Mapping[str, Any], context: Any) -> bool:
    """Return whether the fields of a state are in JSONata."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    language: str = stepfunctions._state_query_language(state, context)  # noqa: SLF001
    return language == "JSONata"


def _run_branches(
    run: Callable[..., Any], state: Mapping[str, Any], raw_input: Any, execution: Any, context: Any
) -> Any:
    """Run the branches of a Parallel state, with the fields of JSONata, which MiniStack ignores."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    if not is_jsonata(state, context):
        return run(state, raw_input, execution, context)
    arguments = stepfunctions._apply_jsonata_arguments(state, raw_input, context)  # noqa: SLF001
    fields = {name: state[name] for name in ("Branches", *_TRANSITIONS) if name in state}
    results, following = run(fields, arguments, execution, context)
    return _build_output(state, raw_input, context, results), following


def _apply_output(
    apply: Callable[..., Any], state: Mapping[str, Any], data: Any, context: Any = None
) -> Any:
    """Apply the output of a state, also that of a Succeed state in JSONata, which MiniStack ignores."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    if state.get("Type") == "Succeed" and is_jsonata(state, context):
        return stepfunctions._apply_jsonata_output(state, data, context, default=data)  # noqa: SLF001
    return apply(state, data, context)


def _run_distributed_map(
    run: Callable[..., Any],
    state: Mapping[str, Any],
    raw_input: Any,
    effective: Any,
    iterator: Any,
    execution: Any,
    context: Any,
) -> Any:
    """Run a distributed Map state, with expressions in its fields."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    if not is_jsonata(state, context):
        return run(state, raw_input, effective, iterator, execution, context)
    context = {**context, "State": context["State"]}
    names = ("ItemReader", "MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")
    fields = {
        name: stepfunctions._apply_jsonata_template(state[name], raw_input, context)  # noqa: SLF001
        for name in names
        if name in state
    }
    fields |= {
        name: state[name] for name in ("ItemSelector", "Label", *_TRANSITIONS) if name in state
    }
    if "Items" in state:
        items = stepfunctions._jsonata_state_field(state, "Items", "array", raw_input, context)  # noqa: SLF001
        context[_ITEMS] = _Items(items)
        fields["ItemsPath"] = f"$$.{_ITEMS}"
    results, following = run(fields, raw_input, raw_input, iterator, execution, context)
    return _build_output(state, raw_input, context, results), following


def _resolve_template(
    resolve: Callable[..., Any], template: Any, data: Any, context: Any = None
) -> Any:
    """Resolve the ItemSelector of a Map state."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    if (context or {}).get("QueryLanguage") == "JSONata":
        return stepfunctions._apply_jsonata_template(template, data, context)  # noqa: SLF001
    return resolve(template, data, context)


def _build_output(state: Mapping[str, Any], raw_input: Any, context: Any, results: Any) -> Any:
    """Assign the variables of a state, and return its output."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    output = stepfunctions._apply_jsonata_output(  # noqa: SLF001
        state, raw_input, context, result=results, default=results
    )
    stepfunctions._apply_state_assign(state, raw_input, context, result=results)  # noqa: SLF001
    return output
