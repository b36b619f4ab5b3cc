"""The definition of the state machine that submits the jobs of a run and waits for them, in JSONata.

A run is one execution, for 1 as for 5,000 jobs: a distributed map over a file in the data bucket with one request a line. Each
job is a child execution. See ADR 14.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws

_BEDROCK = "aws-sdk:bedrock:"
_BUSY = ["Bedrock.ServiceQuotaExceededException", "Bedrock.ThrottlingException"]
_FAILING = ["Bedrock.InternalServerException", "Bedrock.SdkClientException"]
# Source: developer guide, bp-lambda-serviceexception, and concepts-error-handling for functions that end without a response.
# RetryableError is raised by the function itself.
_FUNCTION_FAILING = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.AWSLambdaException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "RetryableError",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
]
# The maximum of Step Functions. An execution lasts a year at most.
_ALWAYS = 99_999_999
_SECONDS_BETWEEN_RETRIES = 300
_SECONDS_BETWEEN_POLLS = 120
_MAX_SECONDS = 900
"""The longest time between retries and between polls."""


def create_definition(bucket: str, evaluator_arn: str | None = None) -> dict[str, Any]:
    """Return the definition.

    The input of an execution is `{"key": ..., "max_parallel": ...}`: the file with the requests, and the number of jobs at once.

    Args:
        bucket: the name of the data bucket.
        evaluator_arn: the function that evaluates the models of runs whose input has `"evaluate": true`; `None` if there is none.
    """
    end: dict[str, Any] = {"End": True} if evaluator_arn is None else {"Next": "HasEvaluation"}
    return {
        "Comment": "Submits the jobs of a Tunestack run, and waits for them",
        "QueryLanguage": "JSONata",
        "StartAt": "Jobs",
        "States": {
            "Jobs": {
                "Type": "Map",
                "Label": "Jobs",
                "ItemReader": {
                    "Resource": _integration("s3:getObject"),
                    "ReaderConfig": {"InputType": "JSONL"},
                    "Arguments": {"Bucket": bucket, "Key": "{% $states.input.key %}"},
                },
                "MaxConcurrency": "{% $states.input.max_parallel %}",
                # A failed job must not end the others.
                "ToleratedFailurePercentage": 100,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Submit",
                    "States": _create_job_states(),
                },
                # The result has an item for each job, and is limited to 256 KiB.
                "Output": {},
                **end,
            },
            **({} if evaluator_arn is None else _create_evaluation_states(evaluator_arn)),
        },
    }


def _create_job_states() -> dict[str, Any]:
    return {
        "Submit": {
            "Type": "Task",
            "Resource": _integration(f"{_BEDROCK}createModelCustomizationJob"),
            "Arguments": "{% $states.input %}",
            "Assign": {
                "job": "{% $states.input.JobName %}",
                "submitted": "{% $states.context.State.EnteredTime %}",
            },
            # The token in the request makes repetition safe. A slot may become free after days.
            "Retry": [
                {
                    "ErrorEquals": _BUSY,
                    "IntervalSeconds": _SECONDS_BETWEEN_RETRIES,
                    "BackoffRate": 1.5,
                    "MaxDelaySeconds": _MAX_SECONDS,
                    "MaxAttempts": _ALWAYS,
                },
                _create_retry(_FAILING),
            ],
            # A job of this name exists: `submit` created it from the same content.
            "Catch": [
                {
                    "ErrorEquals": ["Bedrock.ConflictException"],
                    "Assign": {
                        "job": "{% $states.input.JobName %}",
                        "submitted": "{% $states.context.State.EnteredTime %}",
                    },
                    "Next": "Get",
                }
            ],
            "Next": "Get",
        },
        "Get": {
            "Type": "Task",
            "Resource": _integration(f"{_BEDROCK}getModelCustomizationJob"),
            "Arguments": {"JobIdentifier": "{% $job %}"},
            "Retry": [
                # A job is not visible at once.
                _create_retry([*_BUSY, *_FAILING, "Bedrock.ResourceNotFoundException"]),
            ],
            "Next": "Check",
        },
        "Check": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $states.input.Status in ['InProgress', 'Stopping'] %}",
                    "Next": "Wait",
                },
                {"Condition": "{% $states.input.Status = 'Completed' %}", "Next": "Completed"},
            ],
            "Default": "Failed",
        },
        "Wait": {
            "Type": "Wait",
            # At most 2 % of the job's time, and few transitions, which are billed.
            "Seconds": (
                "{% $floor($min(["
                + str(_MAX_SECONDS)
                + ", $max(["
                + str(_SECONDS_BETWEEN_POLLS)
                + ", "
                "($toMillis($states.context.State.EnteredTime) - $toMillis($submitted)) / 50000])])) %}"
            ),
            "Next": "Get",
        },
        "Completed": {"Type": "Succeed", "Output": {}},
        "Failed": {
            "Type": "Fail",
            "Error": "JobFailed",
            "Cause": "{% 'job ' & $job & ': ' & $states.input.Status & ' ' & $states.input.FailureMessage %}",
        },
    }


def _create_evaluation_states(function_arn: str) -> dict[str, Any]:
    """Return the states that invoke the function until it is done: each invocation does a part, and says when to go on."""
    return {
        "HasEvaluation": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $states.context.Execution.Input.evaluate = true %}",
                    "Next": "Evaluate",
                }
            ],
            "Default": "Done",
        },
        "Evaluate": {
            "Type": "Task",
            "Resource": _integration("lambda:invoke"),
            "Arguments": {
                "FunctionName": function_arn,
                "Payload": {
                    "run": "{% $states.context.Execution.Name %}",
                    "key": "{% $states.context.Execution.Input.key %}",
                },
            },
            "Retry": [
                # Also after a timeout, or if the function was killed: it continues where it was.
                {**_create_retry(_FUNCTION_FAILING), "JitterStrategy": "FULL"}
            ],
            "Output": "{% $states.result.Payload %}",
            "Next": "IsEvaluated",
        },
        "IsEvaluated": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Done"}],
            "Default": "WaitForEvaluation",
        },
        "WaitForEvaluation": {
            "Type": "Wait",
            "Seconds": "{% $states.input.seconds %}",
            "Next": "Evaluate",
        },
        "Done": {"Type": "Succeed", "Output": {}},
    }


def _create_retry(errors: list[str]) -> dict[str, Any]:
    """Return a retry for errors that last minutes; after about four hours the job is given up."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 10,
        "BackoffRate": 2,
        "MaxDelaySeconds": _MAX_SECONDS,
        "MaxAttempts": 20,
    }


def _integration(name: str) -> str:
    return f"arn:{Aws.PARTITION}:states:::{name}"
