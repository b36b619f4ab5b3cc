"""The assumptions about AWS that only a real account can settle. docs/assumptions.md is generated from this table.

Each step of the suite names the assumptions that it settles (`@step(settles=...)`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One assumption."""

    id: str
    belief: str
    """What the code assumes."""
    evidence: str
    """Why it is assumed: documented, observed by others, or neither."""
    damage: str
    """What happens if it is wrong."""
    handling: str
    """How the code behaves safely in either case."""
    on_sandbox: bool = True
    """Whether the sandbox can show it, too."""


_ROWS = (
    # Stacks
    ("stage-deploys", "CloudFormation and every service accept the stack of a stage.", "cfn-lint and the documentation of each service", "The first `cdk deploy` fails.", "CloudFormation rolls back. Nothing that is billed by the hour is in the stack."),
    ("network-stage-deploys", "The stack of a stage with a private network, interface endpoints, a KMS key for models and a dashboard is accepted.", "documentation of each service", "The first `cdk deploy` of such a stage fails.", "CloudFormation rolls back, including the interface endpoints."),
    ("stage-can-be-removed", "After its models, endpoints and data are deleted, the stack is deleted without an error.", "documentation of CloudFormation", "`cdk destroy` fails, and keys and alarms cost some cents a day.", "No endpoint is part of the stack. The error names the resource."),
    # Permissions
    ("tuner-lists", "The List and Get operations of Bedrock work with the tuner policy.", "service authorization reference, which is known to be incomplete for Bedrock", "The SDK can't find existing jobs and endpoints.", "`AccessError` that names the policy; nothing is created."),
    ("doctor-passes", "No check of `tunestack doctor` fails with the tuner policy in a new stage.", "derived from the permissions", "It reports errors for correct settings.", "Only `tunestack doctor` and `preflight` depend on it, not `submit`."),
    ("models-listed", "`ListFoundationModels(byCustomizationType=FINE_TUNING)` has an active row for each base model of the catalog.", "one list of April 2026; unknown for new accounts", "`submit` refuses a model that could be fine-tuned.", "An error before the upload. Nothing is billed."),
    ("request-tags", "Bedrock passes the tags of a request to IAM (`aws:RequestTag`).", "service authorization reference", "Users of the tuner policy can create nothing, or resources with the tag of another stage.", "Without the condition key, statements with `StringEquals` allow nothing."),
    ("resource-tags", "Bedrock passes the tags of existing jobs to IAM (`aws:ResourceTag`).", "service authorization reference", "Users of one stage can stop the jobs of another stage in the same account.", "`StringEqualsIfExists` (ADR 10): the guard and users can delete endpoints in either case."),
    ("deployment-request-tags", "A deployment can't be created with the tag of another stage, and the tuner policy allows the tag of its own.", "service authorization reference", "Deployments escape the guard of their stage, or none can be created.", "On-demand deployments cost nothing while idle."),
    ("endpoint-resource-tags", "Bedrock passes the tags of a deployment to IAM when it is invoked.", "service authorization reference", "Users of one stage can invoke the endpoints of another stage in the same account.", "`StringEqualsIfExists`: the own endpoints can be invoked in either case."),
    ("expiry-required", "The Deny statement refuses provisioned throughput without the tag `tunestack:expires-at`.", "IAM user guide", "Provisioned throughput without an expiry could be bought.", "The guard deletes it after `default_endpoint_hours`, at the latest after `max_endpoint_hours`."),
    ("expiry-accepted", "With both tags, the tuner policy allows provisioned throughput.", "service authorization reference, which is known to be incomplete for Bedrock", "No provisioned throughput can be created.", "`AccessError`; nothing is billed."),
    # Jobs
    ("ended-model", "A job for a base model that has ended is a `ResourceNotFoundException`.", "message observed by others for invocations; `ValidationException` is possible", "A misleading error.", "`submit` refuses such models itself, by `ListFoundationModels`."),
    ("model-key", "With the tuner policy, a job may encrypt its model with the KMS key of the stage.", "documented, but for the caller in one place and for the job role in another", "No job can be created in a stage with `model_key=True`.", "`model_key` is off by default. The refused request creates nothing."),
    ("role-usable", "Bedrock can assume the job role within five minutes after the stack was created.", "field reports: one to five minutes", "The first job is refused.", "The request is refused before anything is billed, and can be repeated."),
    ("job-token-repeat", "The same request with the same `clientRequestToken` returns the first job.", 'documented: "ignores the request, but does not return an error"; the response is not documented', "A retried request returns no ARN.", "The SDK then finds the job by its name. The unique name prevents a second job."),
    ("job-token-other-body", "The same `clientRequestToken` with another body is a `ValidationException`.", "not documented", "The first job is returned for another content.", "The SDK derives the token from the content, so it never sends such a request."),
    ("job-name-taken", "A job name that is in use is a `ConflictException`.", "message observed by others; another program expects `ValidationException`", "A job that exists is reported as an error.", "After either code, the SDK looks for the job, by name and content."),
    ("model-name-taken", "A custom model name that is in use is a `ConflictException`.", "not documented", "As for `job-name-taken`.", "As for `job-name-taken`: job and model have the same name."),
    ("job-visible", "A new job is listed within 20 seconds.", "not documented", "Two processes that submit the same content at the same time do not see each other.", "Both send the same name and token, so one job is created."),
    ("job-stop", "A job can be stopped right after its creation, and then has no model.", "observed by others; the console allows it only in training", "`job.cancel()` fails for a queued job, which trains and is billed.", "`cancel` raises the error of AWS. `max_cost` limits the cost in advance."),
    ("job-stop-ended", "Stopping a job that has ended is a `ConflictException`.", "not documented; `ValidationException` is possible", "`job.cancel()` of an ended job raises an error.", "The SDK reads the state again after either code."),
    ("job-token-after-end", "The same request with the same token returns the job after it has ended.", "not documented", "The request is refused because of the name, or another job is started.", "The name is in use forever, as jobs can't be deleted. The SDK lists the attempts first and numbers the next one."),
    ("job-completes", "A job with the job role of the stage completes: S3, KMS and the record format are right.", "documentation of permissions and formats", "Jobs fail in validation. That is not billed.", "`JobFailedError` with the message of AWS."),
    ("job-phases", "`statusDetails` distinguishes validation, processing, queue and training; all statuses are those of botocore's model.", "observed by others; documented for distillation only", "The stall timeout of the queue is not applied, or a state is unknown.", "Without details, a running job is `running`. An unknown state is never an end."),
    ("job-metrics", "The output has a CSV file of training losses with the suffix `step_wise_training_metrics.csv`.", "user guide and samples, with three layouts", "`job.metrics()` is empty.", "Files are found by suffix. Job and model are not affected."),
    ("model-tags", "The custom model has the tags of `customModelTags`.", "documented", "Users of the tuner policy can't delete their models ($1.95 a month each).", "An administrator can delete them."),
    ("model-delete", "The tuner policy can delete a model with the tag of the stage: Bedrock passes the tags of models to IAM.", "service authorization reference", "As for `model-tags`.", "`StringEquals`, because a deleted model can't be restored."),
    ("model-delete-served", "A custom model with a deployment can't be deleted: `ConflictException`.", "documented for distilled models only", "A model that is served is deleted.", "`CustomModel.delete` checks for endpoints first."),
    ("model-of-job", "A job still shows the ARN of its model after the model was deleted.", "not documented", "A job looks as if it had no model.", "The SDK reads the model itself before it returns an existing job."),
    # Endpoints
    ("deployment-token-repeat", "Creating a deployment again with the same token returns the first one.", "documented as for jobs", "A retried request is refused because of the name.", "The SDK finds the deployment by its name."),
    ("deployment-name-taken", "A deployment name that is in use is a `ValidationException`.", "the operation lists no `ConflictException`", "An existing endpoint is reported as an error.", "After any refusal, the SDK looks for the endpoint by name."),
    ("delete-while-creating", "A deployment that is being created can't be deleted: `ValidationException`.", "observed by others", "An endpoint is deleted earlier than expected.", "SDK and guard try again after either code."),
    ("deployment-active", "A deployment is `Active` within an hour.", "observed by others: 8 minutes", "`start_endpoint` raises `EndpointTimeoutError`.", "The timeout is an argument. A deployment costs nothing while idle."),
    ("deployment-token-after-delete", "The same token returns the ARN of a deployment that was deleted.", "not documented", "A new deployment is created although the SDK expects none yet.", "The SDK checks that the returned endpoint exists, and uses another token otherwise (ADR 3)."),
    ("converse", "`Converse` accepts the ARN of a deployment.", "user guide", "Fine-tuned models can't be queried by DSPy and `endpoint.invoke`.", "`InvokeModel` remains."),
    ("invoke-model", "`InvokeModel` accepts the ARN of a deployment and the body of the base model.", "user guide", "Clients that use `InvokeModel` fail.", "The SDK uses `InvokeModel` only for models that are trained on prompts (Llama 3.1)."),
    ("litellm", "litellm calls a deployment as `bedrock/converse/<ARN>`.", "executed with a local HTTP server", "DSPy can't call fine-tuned models.", "`endpoint.invoke` does not use litellm."),
    ("endpoint-metrics", "CloudWatch counts the invocations of a deployment with the ARN or the id of the deployment as `ModelId`.", "user guide, without the value of `ModelId`; another program uses ARNs", "`endpoint.metrics()` is empty.", "Both values are read. Nothing else depends on the metrics."),
    ("deployment-update", "A deployment can be updated to another model with the same base model, and stays `Active`.", "documented", "`endpoint.update` raises an error.", "The endpoint continues with the old model."),
    ("guard-sweep", "The sweep of the guard alone deletes an expired endpoint within 15 minutes.", "documentation of EventBridge and Lambda", "Provisioned throughput is billed after its expiry.", "Three independent layers and alarms (ADR 10)."),
    ("guard-schedule", "The schedule of an endpoint alone deletes it within 15 minutes after its expiry.", "documentation of EventBridge Scheduler", "As for `guard-sweep`.", "As for `guard-sweep`."),
    # Events, alarms, provisioned throughput
    ("event-queue", "The end of a job arrives in the queue of the stage, with `jobArn` and `jobStatus` in `detail`.", "documented, best effort", "Waiting clients see a change up to a minute later.", "Events only end a pause early; every client polls as well."),
    ("notice-topic", "The notice of a finished job arrives at the encrypted topic.", "documentation of SNS and EventBridge", "No emails are sent about finished jobs.", "An alarm on the dead-letter queue reports it."),
    ("alarm-topic", "An alarm of the guard arrives at the encrypted topic.", "documentation of SNS and CloudWatch", "No notification is sent when the guard fails.", "The guard itself is not affected. The alarm is red in the console."),
    ("guard-metrics", "CloudWatch creates the metrics of the guard from its log: the alarm NoSweep becomes OK.", "documentation of the embedded metric format", "The alarm NoSweep is always red.", "It alarms wrongly instead of not at all."),
    ("throughput-delete-while-creating", "Provisioned throughput that is being created can't be deleted: `ConflictException`.", "not documented; `ValidationException` is possible", "It is deleted earlier than expected.", "SDK and guard try again after either code."),
    ("provisioned", "Provisioned throughput is created with the tuner policy, answers, and is deleted by `stop`.", "user guide", "Models without on-demand serving can't be served.", "The guard deletes what was created."),
)  # fmt: skip
_ONLY_AWS = {"guard-metrics"}
ASSUMPTIONS = {
    row[0]: Assumption(
        id=row[0],
        belief=row[1],
        evidence=row[2],
        damage=row[3],
        handling=row[4],
        on_sandbox=row[0] not in _ONLY_AWS,
    )
    for row in _ROWS
}
