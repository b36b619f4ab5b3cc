"""Definitions of state machines that Step Functions refuses, in requests and in stacks."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.stacks import wait
from tests.sandbox.state_machines import (
    BEDROCK,
    TRUST,
    Account,
    build_job_machine,
    build_machine,
    build_task,
)

pytestmark = pytest.mark.as_root
GET_JOB = {"JobIdentifier": "job"}


@pytest.fixture
def account(sandbox):
    return Account(boto3.Session())


def build_jsonpath_task(parameters):
    return {
        "StartAt": "Task",
        "States": {
            "Task": {
                "Type": "Task",
                "Resource": f"{BEDROCK}getModelCustomizationJob",
                "Parameters": parameters,
                "End": True,
            }
        },
    }


REFUSED = {
    "unknown action": (
        build_machine("Task", Task=build_task("createFineTuningJob", {})),
        f"The resource provided {BEDROCK}createFineTuningJob is not recognized.",
    ),
    "action in Pascal case": (
        build_machine("Task", Task=build_task("GetModelCustomizationJob", GET_JOB)),
        "GetModelCustomizationJob is not recognized",
    ),
    "unknown service": (
        build_machine("Task", Task=build_task("x", {}, Resource="arn:aws:states:::aws-sdk:a:b")),
        "The resource provided arn:aws:states:::aws-sdk:a:b is not recognized",
    ),
    "pattern that SDK integrations do not have": (
        build_machine("Task", Task=build_task("getModelCustomizationJob.sync", GET_JOB)),
        "getModelCustomizationJob.sync is not recognized",
    ),
    "stream": (
        build_machine(
            "Task",
            Task=build_task(
                "x", {}, Resource="arn:aws:states:::aws-sdk:bedrockruntime:converseStream"
            ),
        ),
        "converseStream is not recognized",
    ),
    "misspelt parameter": (
        build_machine(
            "Task", Task=build_task("getModelCustomizationJob", {**GET_JOB, "JobIdentifer": "a"})
        ),
        'The field "JobIdentifer" is not supported by Step Functions at /States/Task/Arguments',
    ),
    "parameter with the name of the API": (
        build_machine("Task", Task=build_task("getModelCustomizationJob", {"jobIdentifier": "a"})),
        'The field "jobIdentifier" is not supported by Step Functions',
    ),
    "missing parameter": (
        build_machine("Task", Task=build_task("getModelCustomizationJob", {})),
        "The field 'JobIdentifier' is required but was missing at /States/Task/Arguments",
    ),
    "nested parameter in a Map": (
        build_machine(
            "All",
            All={
                "Type": "Map",
                "ItemProcessor": build_machine(
                    "Task",
                    Task=build_task(
                        "listModelCustomizationJobs",
                        {"SortBy": "CreationTime", "MaxResult": 5},
                    ),
                ),
                "End": True,
            },
        ),
        "is not supported by Step Functions at /States/All/ItemProcessor/States/Task/Arguments",
    ),
    "type of a parameter": (
        build_machine("Task", Task=build_task("getModelCustomizationJob", {"JobIdentifier": 5})),
        "The value of the field 'JobIdentifier' has an invalid format",
    ),
    "misspelt path": (
        build_jsonpath_task({"JobIdentifer.$": "$.job"}),
        'The field "JobIdentifer" is not supported by Step Functions at /States/Task/Parameters',
    ),
    "unknown start": (
        {**build_machine("Other", Pass={"Type": "Pass", "End": True})},
        "MISSING_TRANSITION_TARGET: Missing 'StartAt' target: Other at /StartAt",
    ),
    "no states": ({"StartAt": "A"}, "The required field 'States' is missing at /"),
    "unknown next state": (
        build_machine("Pass", Pass={"Type": "Pass", "Next": "Other"}),
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: Other at /States/Pass/Next",
    ),
    "unknown next state of a catcher": (
        build_machine(
            "Task",
            Task=build_task(
                "getModelCustomizationJob",
                GET_JOB,
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Other"}],
            ),
        ),
        "Missing 'Next' target: Other at /States/Task/Catch[0]/Next",
    ),
    "misspelt field": (
        build_machine("Task", Task=build_task("getModelCustomizationJob", GET_JOB, Retries=[])),
        "SCHEMA_VALIDATION_FAILED: Field 'Retries' is not supported at /States/Task",
    ),
    "field of the other query language": (
        build_machine("Pass", Pass={"Type": "Pass", "ResultPath": None, "End": True}),
        "SCHEMA_VALIDATION_FAILED: Field 'ResultPath' is not supported at /States/Pass",
    ),
    "field of another type": (
        build_machine("Pass", Pass={"Type": "Pass", "Catch": [], "End": True}),
        "SCHEMA_VALIDATION_FAILED: Field 'Catch' is not supported at /States/Pass",
    ),
    "state without an end": (
        build_machine("Wait", Wait={"Type": "Wait", "Seconds": 1}),
        "Exactly one of Next and End is required at /States/Wait",
    ),
    "wait without a duration": (
        build_machine("Wait", Wait={"Type": "Wait", "End": True}),
        "Exactly one duration or time is required at /States/Wait",
    ),
    "unknown type": (
        build_machine("Loop", Loop={"Type": "Loop", "End": True}),
        "Invalid Type or QueryLanguage at /States/Loop",
    ),
    "task without a resource": (
        build_machine("Task", Task={"Type": "Task", "End": True}),
        "The required field 'Resource' is missing at /States/Task",
    ),
    "expression that can't be parsed": (
        build_machine("Pass", Pass={"Type": "Pass", "Output": "{% $a( %}", "End": True}),
        "INVALID_JSONATA_EXPRESSION",
    ),
}


@pytest.mark.parametrize(("definition", "message"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_definition_is_refused(account, definition, message):
    role = account.create_role()
    with pytest.raises(account.states.exceptions.InvalidDefinition) as error:
        account.create(definition, role)
    assert message in str(error.value)
    valid = account.create(build_machine("Pass", Pass={"Type": "Pass", "End": True}), role)
    with pytest.raises(account.states.exceptions.InvalidDefinition, match="Invalid State Machine"):
        account.states.update_state_machine(
            stateMachineArn=valid, definition=json.dumps(definition)
        )
    result = account.states.validate_state_machine_definition(definition=json.dumps(definition))
    assert (result["result"], message in result["diagnostics"][0]["message"]) == ("FAIL", True)


@pytest.mark.parametrize(
    "definition",
    [
        build_job_machine(),
        build_jsonpath_task({"JobIdentifier.$": "$.job"}),
        build_machine("Task", Task=build_task("getModelCustomizationJob", "{% $states.input %}")),
    ],
)
def test_a_valid_definition_is_accepted(account, definition):
    result = account.states.validate_state_machine_definition(definition=json.dumps(definition))
    assert (result["result"], result["diagnostics"]) == ("OK", [])
    assert account.create(definition, account.create_role())


@pytest.mark.parametrize(
    "change",
    [("states.amazonaws.com", "lambda.amazonaws.com"), ("us-east-1", "eu-west-1")],
    ids=["another service", "another region"],
)
def test_a_role_that_does_not_trust_step_functions_is_refused(account, change):
    role = account.create_role(trust=json.loads(json.dumps(TRUST).replace(*change)))
    with pytest.raises(ClientError, match="Neither the global service principal") as error:
        account.create(build_job_machine(), role)
    assert error.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_role_that_does_not_exist_is_refused(account):
    role = f"{account.create_role()}-2"
    with pytest.raises(ClientError, match="Neither the global service principal"):
        account.create(build_job_machine(), role)


@pytest.mark.parametrize(
    ("action", "service", "status"),
    [
        ("getModelCustomizationJob", "states.amazonaws.com", "CREATE_COMPLETE"),
        ("getFineTuningJob", "states.amazonaws.com", "ROLLBACK_COMPLETE"),
        ("getModelCustomizationJob", "lambda.amazonaws.com", "ROLLBACK_COMPLETE"),
    ],
)
def test_stacks_check_definitions_and_roles(sandbox, action, service, status):
    role = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        ],
    }
    definition = build_machine("Task", Task=build_task(action, GET_JOB))
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": role},
            },
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "DefinitionString": json.dumps(definition),
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                },
            },
        }
    }
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="machine",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert wait(client, "machine")[0] == status
    client.delete_stack(StackName="machine")
