"""Checks of the state machine of runs."""

from tests.infra.invariants.base import DATA_BUCKET, Checks

BUSY = ["Bedrock.ServiceQuotaExceededException", "Bedrock.ThrottlingException"]
FAILING = ["Bedrock.InternalServerException", "Bedrock.SdkClientException"]
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
            "End": True,
        }
        expected = {"QueryLanguage": "JSONata", "StartAt": "Jobs", "States": {"Jobs": jobs}}
        self.check_equal(name, "definition", definition, expected)
