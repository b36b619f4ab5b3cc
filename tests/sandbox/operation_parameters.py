"""What each operation is asked: the parameters of its good path, then each case that goes wrong in a way of its own."""

import json

from tests.sandbox.samples import NOVA

MANY_TAGS = [{"key": f"key{number}", "value": "x"} for number in range(51)]
SAY = [{"role": "user", "content": [{"text": "number 3?"}]}]
NATIVE = json.dumps({"messages": SAY}).encode()
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
PARAMETERS = {
    "CreateModelCustomizationJob": (
        JOB,
        ("a name with an underscore", "ValidationException", {**JOB, "jobName": "a_b"}),
        (
            "an unknown base model",
            "ValidationException",
            {**JOB, "baseModelIdentifier": "a.b-v1:0"},
        ),
        ("a role that is not there", "ValidationException", {**JOB, "roleArn": "{role}x"}),
        (
            "an unknown hyperparameter",
            "ValidationException",
            {**JOB, "hyperParameters": {"n": "1"}},
        ),
        (
            "the token of another request",
            "ValidationException",
            {**JOB, "clientRequestToken": "{token}"},
        ),
        ("the name of another job", "ConflictException", {**JOB, "jobName": "{job_name}"}),
        ("the name of a model", "ConflictException", {**JOB, "customModelName": "{model_name}"}),
        (
            "a custom model that is not there",
            "ResourceNotFoundException",
            {**JOB, "baseModelIdentifier": "{no_model}"},
        ),
        (
            "a base model that has ended",
            "ResourceNotFoundException",
            {**JOB, "baseModelIdentifier": "amazon.titan-text-express-v1:0:8k"},
        ),
        ("51 tags", "TooManyTagsException", {**JOB, "jobTags": MANY_TAGS}),
        ("one job too many", "ServiceQuotaExceededException", {**JOB, "jobName": "{over_quota}"}),
    ),
    "GetModelCustomizationJob": (
        {"jobIdentifier": "{job}"},
        ("an identifier with a space", "ValidationException", {"jobIdentifier": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"jobIdentifier": "{no_job}"}),
    ),
    "ListModelCustomizationJobs": (
        {"statusEquals": "Completed", "nameContains": "old", "sortOrder": "Ascending"},
        ("an unknown status", "ValidationException", {"statusEquals": "Done"}),
        ("a broken nextToken", "ValidationException", {"nextToken": "x"}),
    ),
    "StopModelCustomizationJob": (
        {"jobIdentifier": "{running_job}"},
        ("an identifier with a space", "ValidationException", {"jobIdentifier": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"jobIdentifier": "{no_job}"}),
        ("one that has ended", "ConflictException", {"jobIdentifier": "{job}"}),
    ),
    "GetCustomModel": (
        {"modelIdentifier": "{model}"},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"modelIdentifier": "{no_model}"}),
    ),
    "ListCustomModels": (
        {"nameContains": "old", "maxResults": 1},
        ("too many on a page", "ValidationException", {"maxResults": 1001}),
    ),
    "DeleteCustomModel": (
        {"modelIdentifier": "{spare_model}"},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"modelIdentifier": "{no_model}"}),
        ("one that an endpoint serves", "ConflictException", {"modelIdentifier": "{model}"}),
    ),
    "CreateCustomModelDeployment": (
        DEPLOYMENT,
        (
            "the name of another",
            "ValidationException",
            {**DEPLOYMENT, "modelDeploymentName": "deployed"},
        ),
        (
            "a model that is not there",
            "ResourceNotFoundException",
            {**DEPLOYMENT, "modelArn": "{no_model}"},
        ),
        ("51 tags", "TooManyTagsException", {**DEPLOYMENT, "tags": MANY_TAGS}),
        (
            "one too many in progress",
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
            "one that is not there",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "nobody"},
        ),
    ),
    "ListCustomModelDeployments": (
        {"modelArnEquals": "{model}", "statusEquals": "Active"},
        ("an unknown status", "ValidationException", {"statusEquals": "ACTIVE"}),
    ),
    "UpdateCustomModelDeployment": (
        {"customModelDeploymentIdentifier": "deployed", "modelArn": "{spare_model}"},
        (
            "one that is being created",
            "ValidationException",
            {"customModelDeploymentIdentifier": "creating", "modelArn": "{spare_model}"},
        ),
        (
            "one that is not there",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "nobody", "modelArn": "{model}"},
        ),
        (
            "a model that is not there",
            "ResourceNotFoundException",
            {"customModelDeploymentIdentifier": "deployed", "modelArn": "{no_model}"},
        ),
    ),
    "DeleteCustomModelDeployment": (
        {"customModelDeploymentIdentifier": "deployed"},
        (
            "one that is being created",
            "ValidationException",
            {"customModelDeploymentIdentifier": "creating"},
        ),
        (
            "one that is not there",
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
            "the name of another",
            "ValidationException",
            {**THROUGHPUT, "provisionedModelName": "bought"},
        ),
        (
            "a model that is not there",
            "ResourceNotFoundException",
            {**THROUGHPUT, "modelId": "{no_model}"},
        ),
        ("51 tags", "TooManyTagsException", {**THROUGHPUT, "tags": MANY_TAGS}),
        (
            "more model units than there are",
            "ServiceQuotaExceededException",
            {**THROUGHPUT, "modelUnits": 100},
        ),
    ),
    "GetProvisionedModelThroughput": (
        {"provisionedModelId": "bought"},
        ("an identifier with a space", "ValidationException", {"provisionedModelId": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
    ),
    "ListProvisionedModelThroughputs": (
        {"statusEquals": "InService"},
        ("an unknown status", "ValidationException", {"statusEquals": "Active"}),
    ),
    "UpdateProvisionedModelThroughput": (
        {"provisionedModelId": "bought", "desiredProvisionedModelName": "renamed"},
        (
            "a model of another base",
            "ValidationException",
            {"provisionedModelId": "bought", "desiredModelId": "{lite_model}"},
        ),
        (
            "the name of another",
            "ValidationException",
            {"provisionedModelId": "bought", "desiredProvisionedModelName": "committed"},
        ),
        ("one that is not there", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
    ),
    "DeleteProvisionedModelThroughput": (
        {"provisionedModelId": "bought"},
        ("an identifier with a space", "ValidationException", {"provisionedModelId": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"provisionedModelId": "nobody"}),
        ("one that is being created", "ConflictException", {"provisionedModelId": "buying"}),
        ("one with a commitment", "ConflictException", {"provisionedModelId": "committed"}),
    ),
    "TagResource": (
        {"resourceARN": "{job}", "tags": [{"key": "a", "value": "b"}]},
        (
            "a value with a #",
            "ValidationException",
            {"resourceARN": "{job}", "tags": [{"key": "a", "value": "#"}]},
        ),
        (
            "one that is not there",
            "ResourceNotFoundException",
            {"resourceARN": "{no_job}", "tags": [{"key": "a", "value": "b"}]},
        ),
        ("51 tags", "TooManyTagsException", {"resourceARN": "{job}", "tags": MANY_TAGS}),
    ),
    "UntagResource": (
        {"resourceARN": "{job}", "tagKeys": ["team"]},
        ("a key with a #", "ValidationException", {"resourceARN": "{job}", "tagKeys": ["#"]}),
        (
            "one that is not there",
            "ResourceNotFoundException",
            {"resourceARN": "{no_job}", "tagKeys": ["a"]},
        ),
    ),
    "ListTagsForResource": (
        {"resourceARN": "{job}"},
        ("no ARN", "ValidationException", {"resourceARN": "this is no ARN of anything"}),
        ("one that is not there", "ResourceNotFoundException", {"resourceARN": "{no_job}"}),
    ),
    "GetFoundationModel": (
        {"modelIdentifier": NOVA},
        ("an identifier with a space", "ValidationException", {"modelIdentifier": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"modelIdentifier": "a.b-v1:0"}),
    ),
    "ListFoundationModels": (
        {"byCustomizationType": "FINE_TUNING", "byProvider": "Amazon"},
        ("an unknown type", "ValidationException", {"byCustomizationType": "MAGIC"}),
    ),
    "GetFoundationModelAvailability": (
        {"modelId": NOVA},
        ("an identifier with a space", "ValidationException", {"modelId": "a b"}),
        ("one that is not there", "ResourceNotFoundException", {"modelId": "a.b-v1:0"}),
    ),
    "PutUseCaseForModelAccess": (
        {"formData": b'{"companyName": "x"}'},
        ("too short a form", "ValidationException", {"formData": b"x"}),
    ),
    "GetUseCaseForModelAccess": (
        {},
        ("none was submitted", "ResourceNotFoundException", {}),
    ),
    "Converse": (
        {"modelId": "{deployment}", "messages": SAY},
        ("an unknown model", "ValidationException", {"modelId": "nobody", "messages": SAY}),
        (
            "a custom model that is not deployed",
            "ValidationException",
            {"modelId": "{model}", "messages": SAY},
        ),
        (
            "the model's turn first",
            "ValidationException",
            {"modelId": "{deployment}", "messages": [{**SAY[0], "role": "assistant"}]},
        ),
        (
            "two turns of the user",
            "ValidationException",
            {"modelId": "{deployment}", "messages": SAY * 2},
        ),
        ("an ARN of another region", "ValidationException", {"modelId": "{west}", "messages": SAY}),
        (
            "what a job is created with",
            "ResourceNotFoundException",
            {"modelId": NOVA, "messages": SAY},
        ),
        (
            "an endpoint that is not there",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "messages": SAY},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "messages": SAY},
        ),
    ),
    "ConverseStream": (
        {"modelId": "{throughput}", "messages": SAY},
        ("an unknown model", "ValidationException", {"modelId": "nobody", "messages": SAY}),
        (
            "an endpoint that is not there",
            "ResourceNotFoundException",
            {"modelId": "{no_deployment}", "messages": SAY},
        ),
        (
            "an endpoint that is being created",
            "ModelNotReadyException",
            {"modelId": "{creating}", "messages": SAY},
        ),
    ),
    "InvokeModel": (
        {"modelId": "{throughput}", "body": NATIVE},
        (
            "a body of another family",
            "ValidationException",
            {"modelId": "{throughput}", "body": b'{"prompt": "a"}'},
        ),
        (
            "an endpoint that is not there",
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
        ("no JSON", "ValidationException", {"modelId": "{deployment}", "body": b"{"}),
        (
            "an endpoint that is not there",
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
        {"modelId": "us.amazon.nova-micro-v1:0", "input": {"converse": {"messages": SAY}}},
        (
            "an unknown model",
            "ValidationException",
            {"modelId": "nobody", "input": {"converse": {"messages": SAY}}},
        ),
        (
            "what a job is created with",
            "ResourceNotFoundException",
            {"modelId": NOVA, "input": {"converse": {"messages": SAY}}},
        ),
    ),
}
