"""Checks of the state machine of runs."""

from tests.infra.invariants.base import DATA_BUCKET, EVALUATOR_FUNCTION, Checks

BUSY = ["Bedrock.ServiceQuotaExceededException", "Bedrock.ThrottlingException"]
FAILING = ["Bedrock.InternalServerException", "Bedrock.SdkClientException"]
FUNCTION_FAILING = [
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
REMEMBER = {
    "job": "{% $states.input.JobName %}",
    "submitted": "{% $states.context.State.EnteredTime %}",
}


def retry(errors, interval, rate, attempts):
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": interval,
        "BackoffRate": rate,
        "MaxDelaySeconds": 900,
        "MaxAttempts": attempts,
    }


def bedrock(operation, arguments, **fields):
    resource = f"arn:aws:states:::aws-sdk:bedrock:{operation}"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "Next": "Get", **fields}


JOB_STATES = {
    # A busy account is waited for without an end, a failing service for hours.
    "Submit": bedrock(
        "createModelCustomizationJob",
        "{% $states.input %}",
        Assign=REMEMBER,
        Retry=[retry(BUSY, 300, 1.5, 99_999_999), retry(FAILING, 10, 2, 20)],
        Catch=[
            {"ErrorEquals": ["Bedrock.ConflictException"], "Assign": REMEMBER, "Next": "Get"},
        ],
    ),
    "Get": bedrock(
        "getModelCustomizationJob",
        {"JobIdentifier": "{% $job %}"},
        Retry=[retry([*BUSY, *FAILING, "Bedrock.ResourceNotFoundException"], 10, 2, 20)],
        Next="Check",
    ),
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
        "Seconds": "{% $floor($min([900, $max([120, ($toMillis($states.context.State.EnteredTime) - "
        "$toMillis($submitted)) / 50000])])) %}",
        "Next": "Get",
    },
    "Completed": {"Type": "Succeed", "Output": {}},
    "Failed": {
        "Type": "Fail",
        "Error": "JobFailed",
        "Cause": "{% 'job ' & $job & ': ' & $states.input.Status & ' ' & $states.input.FailureMessage %}",
    },
}


class RunChecks(Checks):
    """The state machine reads the files of runs only, logs no training data, and one failed job does not end the others."""

    def check_stepfunctions_statemachine(self, name, properties, resource):
        self.check_properties(
            name,
            properties,
            StateMachineName=f"tunestack-{self.stage.name}",
            StateMachineType="STANDARD",
            RoleArn=f"arn:aws:iam::{self.account}:role/RunsRole004926F2",
            LoggingConfiguration={
                "Level": "ALL",
                "IncludeExecutionData": False,
                "Destinations": [
                    {
                        "CloudWatchLogsLogGroup": {
                            "LogGroupArn": self.arn("logs", "log-group:RunsLog1FAEFF39:*")
                        }
                    }
                ],
            },
        )
        self.check_equal(name, "dependencies", resource.get("DependsOn"), ["RunsPolicy346DF1D8"])
        definition = dict(properties.get("Definition", {}))
        definition.pop("Comment", None)
        jobs = {
            "Type": "Map",
            "Label": "Jobs",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Arguments": {"Bucket": DATA_BUCKET, "Key": "{% $states.input.key %}"},
            },
            "MaxConcurrency": "{% $states.input.max_parallel %}",
            "ToleratedFailurePercentage": 100,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Submit",
                "States": JOB_STATES,
            },
            "Output": {},
            **({"Next": "HasEvaluation"} if self.stage.run_evaluation else {"End": True}),
        }
        evaluation = self.build_evaluation_states() if self.stage.run_evaluation else {}
        expected = {
            "QueryLanguage": "JSONata",
            "StartAt": "Jobs",
            "States": {"Jobs": jobs, **evaluation},
        }
        self.check_equal(name, "definition", definition, expected)

    def build_evaluation_states(self):
        """Only runs that say so are evaluated, by a function that is invoked until it is done."""
        condition = "{% $states.context.Execution.Input.evaluate = true %}"
        return {
            "HasEvaluation": {
                "Type": "Choice",
                "Choices": [{"Condition": condition, "Next": "Evaluate"}],
                "Default": "Done",
            },
            "Evaluate": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {
                    "FunctionName": self.arn("lambda", f"function:{EVALUATOR_FUNCTION}"),
                    "Payload": {
                        "run": "{% $states.context.Execution.Name %}",
                        "key": "{% $states.context.Execution.Input.key %}",
                    },
                },
                "Retry": [{**retry(FUNCTION_FAILING, 10, 2, 20), "JitterStrategy": "FULL"}],
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
