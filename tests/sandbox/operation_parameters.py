"""Parameters of each Bedrock operation: those of the successful call, then one entry for each error."""

import json
from typing import Any

from tests.sandbox.samples import NOVA

MANY_TAGS = [{"key": f"key{number}", "value": "x"} for number in range(51)]
MESSAGES = [{"role": "user", "content": [{"text": "number 3?"}]}]
NATIVE = json.dumps({"messages": MESSAGES}).encode()
JOB = {
    "jobName": "new",
    "customModelName": "new",
    "roleArn": "{role}",
    "baseModelIdentifier": NOVA,
    "trainingDataConfig": {"s3Uri": "{data}"},
    "outputDataConfig": {"s3Uri": "{output}"},
    "hyperParameters": {"epochCount": "2"},
}
DEPLOYMENT = {"modelDeploymentName": "new", "modelArn": "{model}"}
THROUGHPUT = {"provisionedModelName": "new", "modelId": "{model}", "modelUnits": 1}
Parameters = dict[str, Any]
PARAMETERS: dict[str, tuple[Parameters, *tuple[tuple[str, str, Parameters], ...]]] = {
    "CreateModelCustomizationJob": (
        JOB,
        ("a name with an underscore", "ValidationException", {**JOB, "jobName": "a_b"}),
        (
            "an unknown base model",
            "ValidationException",
            {**JOB, "baseModelIdentifier": "a.b-v1:0"},
        ),
        ("a role that does not exist", "ValidationException", {**JOB, "roleArn": "{role}x"}),
        (
            "an unknown hyperparameter",
            "ValidationException",
            {**JOB, "hyperParameters": {"n": "1"}},
        ),
        (
            "a clientRequestToken of another request",
            "ValidationException",
            {**JOB, "clientRequestToken": "{token}"},
        ),
        ("a job name that is in use", "ConflictException", {**JOB, "jobName": "{job_name}"}),
        (
            "a model name that is in use",
            "ConflictException",
            {**JOB, "customModelName": "{model_name}"},
        ),
        (
            "a custom model that does not exist",
            "ResourceNotFoundException",
            {**JOB, "baseModelIdentifier": "{no_model}"},
        ),
        (
            "a base model after its end of life",
            "ResourceNotFoundException",
            {**JOB, "baseModelIdentifier": "amazon.titan-text-express-v1:0:8k"},
        ),
        ("51 tags", "TooManyTagsException", {**JOB, "jobTags": MANY_TAGS}),
        (
            "more jobs than the quota",
            "ServiceQuotaExceededException",
            {**JOB, "jobName": "{over_quota}"},
        ),
    ),
    "GetModelCustomizationJob": (
        {"jobIdentifier": "{job}"},
        ("an identifier with a space", "ValidationException", {"jobIdentifier": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"jobIdentifier": "{no_job}"}),
    ),
    "ListModelCustomizationJobs": (
        {"statusEquals": "Completed", "nameContains": "old", "sortOrder": "Ascending"},
        ("an unknown status", "ValidationException", {"statusEquals": "Done"}),
        ("an invalid nextToken", "ValidationException", {"nextToken": "x"}),
    ),
    "StopModelCustomizationJob": (
        {"jobIdentifier": "{running_job}"},
        ("an identifier with a space", "ValidationException", {"jobIdentifier": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"jobIdentifier": "{no_job}"}),
        ("a job that has ended", "ConflictException", {"jobIdentifier": "{job}"}),
    ),
    "GetCustomModel": (
        {"modelIdentifier": "{model}"},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"modelIdentifier": "{no_model}"}),
    ),
    "ListCustomModels": (
        {"nameContains": "old", "maxResults": 1},
        ("maxResults above the maximum", "ValidationException", {"maxResults": 1001}),
    ),
    "DeleteCustomModel": (
        {"modelIdentifier": "{spare_model}"},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"modelIdentifier": "{no_model}"}),
        ("a model that an endpoint serves", "ConflictException", {"modelIdentifier": "{model}"}),
    ),
    "CreateCustomModelDeployment": (
        DEPLOYMENT,
        (
            "a name that is in use",
            "ValidationException",
            {**DEPLOYMENT, "modelDeploymentName": "endpoint-1"},
        ),
        (
            "a model that does not exist",
            "ResourceNotFoundException",
            {**DEPLOYMENT, "modelArn": "{no_model}"},
        ),
        ("51 tags", "TooManyTagsException", {**DEPLOYMENT, "tags": MANY_TAGS}),
        (
            "more deployments in progress than the quota",
            "ServiceQuotaExceededException",
            {**DEPLOYMENT, "modelDeploymentName": "{over_quota}"},
        ),
    ),
    "GetCustomModelDeployment": (
        {"customModelDeploymentIdentifier": "{deployment}"},
        (
            "an identifier with a space",
            "ValidationException",
            {"customModelDeploymentIdentifier": "a b"},
        ),
        (
            "does not exist",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "nobody"},
        ),
    ),
    "ListCustomModelDeployments": (
        {"modelArnEquals": "{model}", "statusEquals": "Active"},
        ("an unknown status", "ValidationException", {"statusEquals": "ACTIVE"}),
    ),
    "UpdateCustomModelDeployment": (
        {"customModelDeploymentIdentifier": "endpoint-1", "modelArn": "{spare_model}"},
        (
            "being created",
            "ValidationException",
            {"customModelDeploymentIdentifier": "creating", "modelArn": "{spare_model}"},
        ),
        (
            "does not exist",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "nobody", "modelArn": "{model}"},
        ),
        (
            "a model that does not exist",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "endpoint-1", "modelArn": "{no_model}"},
        ),
    ),
    "DeleteCustomModelDeployment": (
        {"customModelDeploymentIdentifier": "endpoint-1"},
        (
            "being created",
            "ValidationException",
            {"customModelDeploymentIdentifier": "creating"},
        ),
        (
            "does not exist",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "nobody"},
        ),
    ),
    "CreateProvisionedModelThroughput": (
        THROUGHPUT,
        (
            "a name with a space",
            "ValidationException",
            {**THROUGHPUT, "provisionedModelName": "a b"},
        ),
        (
            "a name that is in use",
            "ValidationException",
            {**THROUGHPUT, "provisionedModelName": "throughput-1"},
        ),
        (
            "a model that does not exist",
            "ResourceNotFoundException",
            {**THROUGHPUT, "modelId": "{no_model}"},
        ),
        ("51 tags", "TooManyTagsException", {**THROUGHPUT, "tags": MANY_TAGS}),
        (
            "more model units than the quota",
            "ServiceQuotaExceededException",
            {**THROUGHPUT, "modelUnits": 100},
        ),
    ),
    "GetProvisionedModelThroughput": (
        {"provisionedModelId": "throughput-1"},
        ("an identifier with a space", "ValidationException", {"provisionedModelId": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
    ),
    "ListProvisionedModelThroughputs": (
        {"statusEquals": "InService"},
        ("an unknown status", "ValidationException", {"statusEquals": "Active"}),
    ),
    "UpdateProvisionedModelThroughput": (
        {"provisionedModelId": "throughput-1", "desiredProvisionedModelName": "renamed"},
        (
            "a model of another base model",
            "ValidationException",
            {"provisionedModelId": "throughput-1", "desiredModelId": "{lite_model}"},
        ),
        (
            "a name that is in use",
            "ValidationException",
            {"provisionedModelId": "throughput-1", "desiredProvisionedModelName": "throughput-2"},
        ),
        ("does not exist", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
    ),
    "DeleteProvisionedModelThroughput": (
        {"provisionedModelId": "throughput-1"},
        ("an identifier with a space", "ValidationException", {"provisionedModelId": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
        ("being created", "ConflictException", {"provisionedModelId": "throughput-3"}),
        ("with a commitment", "ConflictException", {"provisionedModelId": "throughput-2"}),
    ),
    "TagResource": (
        {"resourceARN": "{job}", "tags": [{"key": "a", "value": "b"}]},
        (
            "a value with a #",
            "ValidationException",
            {"resourceARN": "{job}", "tags": [{"key": "a", "value": "#"}]},
        ),
        (
            "does not exist",
            "ResourceNotFoundException",
            {"resourceARN": "{no_job}", "tags": [{"key": "a", "value": "b"}]},
        ),
        ("51 tags", "TooManyTagsException", {"resourceARN": "{job}", "tags": MANY_TAGS}),
    ),
    "UntagResource": (
        {"resourceARN": "{job}", "tagKeys": ["team"]},
        ("a key with a #", "ValidationException", {"resourceARN": "{job}", "tagKeys": ["#"]}),
        (
            "does not exist",
            "ResourceNotFoundException",
            {"resourceARN": "{no_job}", "tagKeys": ["a"]},
        ),
    ),
    "ListTagsForResource": (
        {"resourceARN": "{job}"},
        ("an invalid ARN", "ValidationException", {"resourceARN": "this is no ARN of anything"}),
        ("does not exist", "ResourceNotFoundException", {"resourceARN": "{no_job}"}),
    ),
    "GetFoundationModel": (
        {"modelIdentifier": NOVA},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"modelIdentifier": "a.b-v1:0"}),
    ),
    "ListFoundationModels": (
        {"byCustomizationType": "FINE_TUNING", "byProvider": "Amazon"},
        ("an unknown customization type", "ValidationException", {"byCustomizationType": "MAGIC"}),
    ),
    "GetFoundationModelAvailability": (
        {"modelId": NOVA},
        ("an identifier with a space", "ValidationException", {"modelId": "a b"}),
        ("does not exist", "ResourceNotFoundException", {"modelId": "a.b-v1:0"}),
    ),
    "PutUseCaseForModelAccess": (
        {"formData": b'{"companyName": "x"}'},
        ("a form that is too short", "ValidationException", {"formData": b"x"}),
    ),
    "GetUseCaseForModelAccess": (
        {},
        ("no form was submitted", "ResourceNotFoundException", {}),
    ),
    "Converse": (
        {"modelId": "{deployment}", "messages": MESSAGES},
        ("an unknown model", "ValidationException", {"modelId": "nobody", "messages": MESSAGES}),
        (
            "a custom model that is not deployed",
            "ValidationException",
            {"modelId": "{model}", "messages": MESSAGES},
        ),
        (
            "an assistant message first",
            "ValidationException",
            {"modelId": "{deployment}", "messages": [{**MESSAGES[0], "role": "assistant"}]},
        ),
        (
            "two consecutive user messages",
            "ValidationException",
            {"modelId": "{deployment}", "messages": MESSAGES * 2},
        ),
        (
            "an ARN of another region",
            "ValidationException",
            {"modelId": "{west}", "messages": MESSAGES},
        ),
        (
            "a base model ID for customization",
            "ResourceNotFoundException",
            {"modelId": NOVA, "messages": MESSAGES},
        ),
        (
            "an endpoint that does not exist",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "messages": MESSAGES},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "messages": MESSAGES},
        ),
    ),
    "ConverseStream": (
        {"modelId": "{throughput}", "messages": MESSAGES},
        ("an unknown model", "ValidationException", {"modelId": "nobody", "messages": MESSAGES}),
        (
            "an endpoint that does not exist",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "messages": MESSAGES},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "messages": MESSAGES},
        ),
    ),
    "InvokeModel": (
        {"modelId": "{throughput}", "body": NATIVE},
        (
            "a request body of another model family",
            "ValidationException",
            {"modelId": "{throughput}", "body": b'{"prompt": "a"}'},
        ),
        (
            "an endpoint that does not exist",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "body": NATIVE},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "body": NATIVE},
        ),
    ),
    "InvokeModelWithResponseStream": (
        {"modelId": "{deployment}", "body": NATIVE},
        ("invalid JSON", "ValidationException", {"modelId": "{deployment}", "body": b"{"}),
        (
            "an endpoint that does not exist",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "body": NATIVE},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "body": NATIVE},
        ),
    ),
    "CountTokens": (
        {"modelId": "us.amazon.nova-micro-v1:0", "input": {"converse": {"messages": MESSAGES}}},
        (
            "an unknown model",
            "ValidationException",
            {"modelId": "nobody", "input": {"converse": {"messages": MESSAGES}}},
        ),
        (
            "a base model ID for customization",
            "ResourceNotFoundException",
            {"modelId": NOVA, "input": {"converse": {"messages": MESSAGES}}},
        ),
    ),
}
