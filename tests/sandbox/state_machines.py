"""State machines of the tests: definitions in JSONata, roles and executions."""

import json
from datetime import timedelta
from itertools import count

ACCOUNT = "123456789012"
BEDROCK = "arn:aws:states:::aws-sdk:bedrock:"
HOUR = timedelta(hours=1)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:*"},
            },
        }
    ],
}
JOBS = {
    "Effect": "Allow",
    "Action": [
        "bedrock:CreateModelCustomizationJob",
        "bedrock:GetModelCustomizationJob",
        "bedrock:TagResource",
    ],
    "Resource": "*",
}
PASS_ROLE = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": "*",
    "Condition": {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}},
}
BUSY = ["Bedrock.ServiceQuotaExceededException", "Bedrock.ThrottlingException"]


def build_machine(start, **states):
    """Build the definition of a state machine."""
    return {"QueryLanguage": "JSONata", "StartAt": start, "States": states}


def build_task(action, arguments, **fields):
    """Build a task that calls an operation of Bedrock."""
    task = {"Type": "Task", "Resource": BEDROCK + action, "Arguments": arguments}
    return {**task, **({} if "Next" in fields else {"End": True}), **fields}


def build_job_machine():
    """Build a state machine that creates a job when a slot is free, and waits until it has completed."""
    return build_machine(
        "Create",
        Create=build_task(
            "createModelCustomizationJob",
            "{% $states.input %}",
            Assign={"job": "{% $states.result.JobArn %}"},
            Retry=[
                {
                    "ErrorEquals": BUSY,
                    "IntervalSeconds": 3600,
                    "BackoffRate": 1.5,
                    "MaxDelaySeconds": 14_400,
                    "MaxAttempts": 100,
                }
            ],
            Next="Wait",
        ),
        Wait={"Type": "Wait", "Seconds": 600, "Next": "Get"},
        Get=build_task("getModelCustomizationJob", {"JobIdentifier": "{% $job %}"}, Next="Check"),
        Check={
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.Status = 'InProgress' %}", "Next": "Wait"},
                {"Condition": "{% $states.input.Status = 'Completed' %}", "Next": "Done"},
            ],
            "Default": "Failed",
        },
        Done={"Type": "Succeed", "Output": "{% $states.input.Status %}"},
        Failed={"Type": "Fail", "Error": "JobFailed"},
    )


def to_parameters(request):
    """Return the parameters of a job with the names of Step Functions."""
    return {
        name[0].upper() + name[1:]: (
            {"S3Uri": value["s3Uri"]} if name.endswith("DataConfig") else value
        )
        for name, value in request.items()
    }


_NUMBERS = count()
"""Numbers for the names of roles and state machines, which outlive the object that created them."""


class Account:
    """The root user of an account, who creates state machines and starts executions."""

    def __init__(self, session):
        self.states = session.client("stepfunctions")
        self.iam = session.client("iam")

    def create_role(self, *statements, trust=None):
        """Create an execution role and return its ARN."""
        name = f"states-{next(_NUMBERS)}"
        document = json.dumps(TRUST if trust is None else trust)
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            self.iam.put_role_policy(
                RoleName=name, PolicyName="tasks", PolicyDocument=json.dumps(policy)
            )
        return role["Arn"]

    def create(self, definition, role):
        """Create a state machine and return its ARN."""
        return self.states.create_state_machine(
            name=f"machine-{next(_NUMBERS)}",
            definition=json.dumps(definition),
            roleArn=role,
        )["stateMachineArn"]

    def start(self, machine, value=None):
        """Start an execution and return its ARN."""
        return self.states.start_execution(stateMachineArn=machine, input=json.dumps(value or {}))[
            "executionArn"
        ]

    def describe(self, execution):
        """Return the description of an execution."""
        return self.states.describe_execution(executionArn=execution)

    def list_events(self, execution):
        """Return all events of an execution's history."""
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]
