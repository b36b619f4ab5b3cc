"""Runs on Bedrock: executions of the stage's Step Functions state machine, and their files in the data bucket."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import orjson

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.backends.bedrock.s3 import Location
from tunestack.backends.runs import RunInfo, RunState
from tunestack.deployment import runs_prefix
from tunestack.errors import ConflictError, DeploymentError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_stepfunctions import SFNClient

    from tunestack.backends.base import JobRequest

_STATES: Mapping[str, RunState] = MappingProxyType(
    {
        "RUNNING": RunState.RUNNING,
        "SUCCEEDED": RunState.SUCCEEDED,
        "FAILED": RunState.FAILED,
        "TIMED_OUT": RunState.FAILED,
        "ABORTED": RunState.CANCELLED,
    }
)


class BedrockRuns(BedrockRegion):
    """`tunestack.backends.runs.RunHost`, in one region of one account."""

    @property
    def _states(self) -> SFNClient:
        return cast("SFNClient", self._clients.get("stepfunctions", self._region))

    def state_machine(self) -> str:
        """Return the ARN of the stage's state machine."""
        arn = self._deployment.state_machine_arn
        if arn is None:
            raise DeploymentError(
                "the deployment has no state machine for runs: run `cdk deploy` with this version of Tunestack"
            )
        return arn

    def run_row(self, request: JobRequest) -> bytes:
        """Return the line of a job in the file of a run."""
        row = wire.to_step_functions(wire.create_job(request, self._deployment))
        return orjson.dumps(row) + b"\n"

    def put_run_file(self, name: str, content: bytes) -> None:
        """Store a file of a run."""
        location = self._run_file(name)
        self._data_store.write(location, content)

    def create_run_file(self, name: str, content: bytes) -> bool:
        """Store a file of a run, unless it exists."""
        location = self._run_file(name)
        return self._data_store.create(location, content)

    def read_run_file(self, name: str) -> bytes:
        """Read a file of a run."""
        location = self._run_file(name)
        return self._data_store.read(location)

    def _run_file(self, name: str) -> Location:
        deployment = self._deployment
        return Location(deployment.data_bucket, runs_prefix(deployment.data_prefix) + name)

    def require_run_evaluation(self) -> None:
        """Check that the stage has the function that evaluates the models of runs."""
        if not self._deployment.run_evaluation:
            raise DeploymentError(
                f"stage {self._deployment.stage!r} does not evaluate models in the account: set run_evaluation=True in "
                "stages.py and run `cdk deploy`, or leave out evaluate"
            )

    def create_run(
        self, name: str, file: str, max_parallel: int, *, evaluate: bool = False
    ) -> RunInfo | None:
        """Start an execution; the same name and input again return the running one.

        Source: API reference, StartExecution (read 2026-11-29): names are unique for 90 days after the end.
        """
        key = self._run_file(f"{file}.jsonl").key
        value = {
            "key": key,
            "max_parallel": max_parallel,
            **({"evaluate": True} if evaluate else {}),
        }
        text = json.dumps(value, sort_keys=True)
        try:
            with translate_errors(f"starting run {name!r}"):
                response = self._states.start_execution(
                    stateMachineArn=self.state_machine(), name=name, input=text
                )
        except ConflictError:
            return None
        return RunInfo(
            id=response["executionArn"],
            name=name,
            state=RunState.RUNNING,
            created=response["startDate"],
            file=file,
        )

    def run(self, run_id: str) -> RunInfo:
        """Get an execution, by its ARN or name."""
        arn = run_id
        if not run_id.startswith("arn:"):
            arn = f"{self.state_machine().replace(':stateMachine:', ':execution:')}:{run_id}"
        try:
            with translate_errors(f"getting run {run_id!r}"):
                response = self._states.describe_execution(executionArn=arn)
        except NotFoundError as error:
            raise NotFoundError(
                f"run {run_id!r} does not exist: `tunestack runs list` shows those that do"
            ) from error.__cause__
        key = json.loads(response.get("input") or "{}").get("key", "")
        return RunInfo(
            id=response["executionArn"],
            name=response["name"],
            state=_STATES.get(response["status"], RunState.UNKNOWN),
            created=response["startDate"],
            ended=response.get("stopDate"),
            file=key.rpartition("/")[2].removesuffix(".jsonl") or None,
            failure=_reason(response),
        )

    def runs(self) -> Iterator[RunInfo]:
        """List the executions, the newest first."""
        pages = self._states.get_paginator("list_executions").paginate(
            stateMachineArn=self.state_machine()
        )
        with translate_errors("listing runs"):
            for page in pages:
                for row in page["executions"]:
                    yield RunInfo(
                        id=row["executionArn"],
                        name=row["name"],
                        state=_STATES.get(row["status"], RunState.UNKNOWN),
                        created=row["startDate"],
                        ended=row.get("stopDate"),
                    )

    def failed_submissions(self, run_id: str) -> Mapping[str, str]:
        """Return the errors of the failed executions of a run's jobs, by the name of the job."""
        failures = {}
        with translate_errors(f"reading the failures of run {run_id!r}"):
            for map_run in self._states.list_map_runs(executionArn=run_id)["mapRuns"]:
                pages = self._states.get_paginator("list_executions").paginate(
                    mapRunArn=map_run["mapRunArn"], statusFilter="FAILED"
                )
                for page in pages:
                    for row in page["executions"]:
                        child = self._states.describe_execution(executionArn=row["executionArn"])
                        name = json.loads(child["input"])["JobName"]
                        failures[name] = _reason(child) or "unknown"
        return failures

    def stop_run(self, run_id: str) -> None:
        """Stop an execution, and those of its jobs; jobs that were created continue."""
        with translate_errors(f"stopping run {run_id!r}"):
            self._states.stop_execution(executionArn=run_id, cause="cancelled with Tunestack")


def _reason(execution: Mapping[str, Any]) -> str | None:
    """Return why an execution failed: the message, and the name of the error unless the message has it."""
    cause, error = execution.get("cause"), execution.get("error")
    if cause and error and error not in cause:
        return f"{cause} ({error})"
    return cause or error
