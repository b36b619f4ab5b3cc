"""Changes of the executions of MiniStack's Step Functions: the sandbox's time, and requests as the execution role.

MiniStack waits in real time, and calls services without the execution role.
Sources: Step Functions developer guide, concepts-error-handling (Retry, `States.ALL`, `States.Runtime`).
"""

from __future__ import annotations

import inspect
import json
import random
import re
import time
from datetime import UTC, datetime
from functools import partial
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tunestack_sandbox import emulator_jsonata, emulator_state_machines
from tunestack_sandbox.emulator_tasks import (
    TASK,
    TaskContext,
    find_machine,
    invoke,
    invoke_function,
)
from tunestack_sandbox.emulator_threads import (
    ACTIVITY,
    RUNS,
    ExecutionEndedError,
    Run,
    StatesEvent,
    StatesPool,
    StatesThread,
    require_running,
    wait_for_tasks,
    wait_in_execution,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHANGED = {
    "_add_event": "execution event_type details",
    "_apply_output_path": "state_def data ctx",
    "_call_lambda": "func_ref event",
    "_create_state_machine": "data",
    "_execute_task": "state_def raw_input execution ctx",
    "_find_matching_retrier": "retriers error retry_counts",
    "_invoke_aws_sdk_integration": "resource input_data",
    "_invoke_resource_with_timeout": "resource input_data timeout",
    "_resolve_params_obj": "template data ctx",
    "_run_distributed_map": "state_def raw_input effective iterator execution ctx",
    "_run_execution": "exec_arn",
    "_run_parallel_branches": "state_def raw_input execution ctx",
    "_scaled_sleep": "seconds",
    "_sleep_until": "iso_ts",
    "_update_state_machine": "data",
    "_validate_definition_jsonata": "definition_str",
    "_validate_state_machine_definition": "data",
    "_error_matches": "error_equals error",
    "now_iso": "",
}
"""The functions that are changed, and their parameters."""
_USED = {
    "threading": {"Thread", "Event", "Lock"},
    "time": {"monotonic", "sleep", "time"},
    "datetime": {"datetime", "fromisoformat", "fromtimestamp", "now"},
}
"""What MiniStack uses of modules with which it could wait or read the time."""
_RUNTIME_ERRORS = ("States.Runtime", "States.DataLimitExceeded")
"""The errors that always end an execution, whatever its Retry and Catch fields are."""


def install(speed: float) -> None:
    """Change MiniStack's Step Functions.

    Args:
        speed: The factor by which durations are shorter than on AWS.

    Raises:
        RuntimeError: This version of MiniStack differs from the one that the changes were written for.
    """
    from ministack.services import stepfunctions  # noqa: PLC0415 - reads the environment on import

    require_known_version(stepfunctions)
    ACTIVITY.speed = speed
    original = SimpleNamespace(**{name: getattr(stepfunctions, name) for name in _CHANGED})
    changes: dict[str, object] = {
        "threading": SimpleNamespace(
            Thread=StatesThread, Event=StatesEvent, Lock=stepfunctions.threading.Lock
        ),
        "ThreadPoolExecutor": StatesPool,
        "futures_wait": wait_for_tasks,
        "now_iso": _format_now,
        "_scaled_sleep": _sleep,
        "_sleep_until": _sleep_until,
        "_add_event": partial(_add_event, original),
        "_run_execution": partial(_run_execution, original),
        "_execute_task": partial(_execute_task, original),
        "_call_lambda": invoke_function,
        "_invoke_aws_sdk_integration": invoke,
        "_invoke_resource_with_timeout": _invoke_with_timeout,
        "_find_matching_retrier": partial(_find_retrier, original),
        "_error_matches": partial(_matches, original),
    }
    for name, change in changes.items():
        setattr(stepfunctions, name, change)
    emulator_state_machines.install()
    emulator_jsonata.install()


def end_executions() -> None:
    """Stop and delete all executions."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    for execution in list(stepfunctions._executions._data.values()):  # noqa: SLF001
        if execution["status"] == "RUNNING":
            execution["status"] = "ABORTED"
    stepfunctions._executions.clear()  # noqa: SLF001
    stepfunctions._map_runs.clear()  # noqa: SLF001
    ACTIVITY.notify()


def require_known_version(stepfunctions: Any) -> None:
    """Check the parameters of all functions that are changed, and how the module waits and reads the time."""
    for name, parameters in _CHANGED.items():
        function = getattr(stepfunctions, name, None)
        known = function is not None and list(inspect.signature(function).parameters)
        if known != parameters.split():
            raise RuntimeError(
                f"MiniStack's Step Functions changed: {name} has the parameters {known}. "
                "Adapt emulator_states.py."
            )
    for module, name in re.findall(
        rf"\b({'|'.join(_USED)})\.(\w+)", inspect.getsource(stepfunctions)
    ):
        if name not in _USED[module]:
            raise RuntimeError(
                f"MiniStack's Step Functions changed: it uses {module}.{name}. "
                "Adapt emulator_states.py and emulator_threads.py."
            )


def _format_now() -> str:
    now = datetime.fromtimestamp(time.time(), UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _sleep(seconds: float) -> None:
    """Wait for a duration on AWS."""
    if seconds > 0:
        wait_in_execution(lambda: False, due=time.time() + seconds / ACTIVITY.speed)


def _sleep_until(timestamp: str) -> None:
    """Wait until a time of the sandbox's clock."""
    try:
        due = datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return  # as MiniStack
    wait_in_execution(lambda: False, due=due)


def _add_event(
    original: Any, execution: Any, event_type: str, details: Mapping[str, Any] | None = None
) -> Any:
    """Add an event to the history, unless the execution was stopped in the meantime."""
    if not event_type.startswith("Execution"):
        require_running()
    event_type, details = _correct_task_event(event_type, details or {})
    event = original._add_event(execution, event_type, details)  # noqa: SLF001
    ACTIVITY.notify()  # the event may be that of StopExecution
    return event


def _correct_task_event(event_type: str, details: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the type and details of an event of a task as on AWS: with type and action of the resource, and timeouts."""
    task = next(iter(details.values()), None)
    if not event_type.startswith("Task") or not isinstance(task, dict):
        return event_type, details
    _, integration, action = str(task.get("resource")).rpartition("aws-sdk:")
    if integration:
        service, _, action = action.partition(":")
        task = {**task, "resourceType": f"aws-sdk:{service}", "resource": action}
    if event_type == "TaskFailed" and task["error"] == "States.Timeout":
        event_type = "TaskTimedOut"
    return event_type, {f"{event_type[0].lower()}{event_type[1:]}EventDetails": task}


def _run_execution(original: Any, arn: str) -> None:
    """Run an execution until it ends, is stopped, or times out."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    execution = stepfunctions._executions.get(arn)  # noqa: SLF001
    if execution is None:
        return
    run = Run(record=execution, deadline=_find_deadline(execution))
    token = RUNS.set((*RUNS.get(), run))
    try:
        original._run_execution(arn)  # noqa: SLF001
    except ExecutionEndedError:
        if execution["status"] == "RUNNING":
            _end(execution, "TIMED_OUT" if run.deadline <= time.time() else "ABORTED")
    finally:
        RUNS.reset(token)


def _find_deadline(execution: Mapping[str, Any]) -> float:
    """Return when an execution times out: the `TimeoutSeconds` of its definition."""
    machine = find_machine(execution)
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    except ValueError:
        return inf  # MiniStack fails the execution
    return inf if seconds is None else time.time() + seconds / ACTIVITY.speed


def _end(execution: dict[str, Any], status: str) -> None:
    """End an execution that timed out, or whose parent has ended."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    execution.update(status=status, stopDate=_format_now())
    name = "ExecutionTimedOut" if status == "TIMED_OUT" else "ExecutionAborted"
    stepfunctions._add_event(execution, name)  # noqa: SLF001
    stepfunctions._emit_execution_status_event(execution)  # noqa: SLF001


def _execute_task(
    original: Any, state: Mapping[str, Any], raw_input: Any, execution: Any, context: Any
) -> Any:
    """Execute a task state, which `invoke` finds in the context."""
    task = TaskContext(
        execution=execution,
        state=context["State"]["Name"],
        field="Arguments" if emulator_jsonata.is_jsonata(state, context) else "Parameters",
    )
    token = TASK.set(task)
    try:
        return original._execute_task(state, raw_input, execution, context)  # noqa: SLF001
    finally:
        TASK.reset(token)


def _invoke_with_timeout(resource: str, parameters: Any, timeout: float) -> Any:
    """Call an operation in a thread, which continues after the timeout.

    A request takes as long as on AWS, so the timeout is not shortened by the sandbox's speed.
    """
    from contextvars import copy_context  # noqa: PLC0415

    from ministack.services import stepfunctions  # noqa: PLC0415

    results: list[Any] = []
    errors: list[Exception] = []

    def call() -> None:
        try:
            results.append(stepfunctions._invoke_resource(resource, parameters))  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - raised in the thread of the execution
            errors.append(error)
        done.set()

    done = StatesEvent()
    StatesThread(target=copy_context().run, args=(call,), daemon=True).start()
    if not done.wait(timeout * ACTIVITY.speed):
        cause = f"Task timed out after {timeout} seconds"
        raise stepfunctions._ExecutionError("States.Timeout", cause)  # noqa: SLF001
    if errors:
        raise errors[0]
    return results[0]


def _find_retrier(original: Any, retriers: Any, error: str, counts: dict[int, int]) -> Any:
    """Find the retrier of an error, and wait for its interval, because MiniStack's own wait is 60 seconds at most."""
    retrier, index = original._find_matching_retrier(retriers, error, counts)  # noqa: SLF001
    if retrier is None:
        return retrier, index
    count = counts.get(index, 0)
    try:
        delay = retrier.get("IntervalSeconds", 1) * float(retrier.get("BackoffRate", 2.0)) ** count
    except OverflowError:
        delay = inf
    delay = min(delay, retrier.get("MaxDelaySeconds", inf))
    if retrier.get("JitterStrategy") == "FULL":
        names = [run.record["name"] for run in RUNS.get()]
        delay *= random.Random(f"{names} {index} {count}").random()  # noqa: S311 - reproducible
    _sleep(delay)
    return {**retrier, "IntervalSeconds": 0}, index


def _matches(original: Any, names: list[str], error: str) -> bool:
    """Return whether a retrier or catcher matches an error."""
    matches: bool = original._error_matches(names, error)  # noqa: SLF001
    return matches and error not in _RUNTIME_ERRORS
