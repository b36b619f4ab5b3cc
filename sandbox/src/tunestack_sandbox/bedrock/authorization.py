"""Authorization of Bedrock's operations: the permissions that each one requires, checked with the caller's policies.

Source: service authorization reference of Amazon Bedrock (iam-data 0.21.202609261), for the resources of each action;
aws-samples/amazon-bedrock-workshop#233 for the job's ARN at CreateModelCustomizationJob (all read 2026-11-22).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.job_role import BEDROCK_PRINCIPAL
from tunestack_sandbox.bedrock.state import find
from tunestack_sandbox.iam import AccessRequest, Policies, decide, parse_statements
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack_sandbox.authentication import Caller
    from tunestack_sandbox.bedrock.state import Model, Region

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Permission:
    """One action on one resource, with the condition keys of the request."""

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    is_kms_key: bool = False
    """Whether the resource is a KMS key, whose key policy must allow the action."""


# IAM actions with another name than the operation.
_ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
}
_IDENTIFIER_PARAMS = {
    "jobIdentifier": "model-customization-job",
    "modelIdentifier": "custom-model",
    "modelId": "custom-model",
    "modelArn": "custom-model",
    "desiredModelId": "custom-model",
    "customModelDeploymentIdentifier": "custom-model-deployment",
    "provisionedModelId": "provisioned-model",
    "resourceARN": "",
}
"""The parameters that identify a resource, and the kind of the resource if they can be a name instead of an ARN."""
_TAGGED_RESOURCES = {
    "jobTags": "model-customization-job/*",
    "customModelTags": "custom-model/*",
    "CreateCustomModelDeployment": "custom-model-deployment/*",
    "CreateProvisionedModelThroughput": "provisioned-model/*",
}
"""The resources that are tagged when they are created, by parameter or operation."""
_FOUNDATION_MODEL_OPERATIONS = {"GetFoundationModel", "CountTokens"}
_GEOGRAPHIES = ("us", "eu", "apac", "au", "ca", "jp", "global", "us-gov")
INVOKE_OPERATIONS = {
    "Converse",
    "ConverseStream",
    "InvokeModel",
    "InvokeModelWithResponseStream",
}
_WITHOUT_RESOURCE = {"GetFoundationModelAvailability"}


def authorize(caller: Caller, region: Region, operation: str, params: Params) -> None:
    """Check that the caller has all permissions that an operation requires.

    Raises:
        ServiceError: A permission is missing, with AWS's message.
    """
    required = (
        *_list_api_key_permissions(caller),
        *_list_operation_permissions(region, operation, params),
    )
    for permission in required:
        access = AccessRequest(
            principal=caller.principal,
            action=permission.action,
            resource=permission.resource,
            account=region.account,
            context={
                **region.condition_keys(),
                "aws:SourceIp": "127.0.0.1",
                "aws:ViaAWSService": "false",
                **permission.context,
            },
        )
        is_kms_key = permission.is_kms_key
        policy = region.client.read_key_policy(permission.resource) if is_kms_key else None
        decision = decide(
            access,
            Policies(
                identity=caller.policies.identity,
                boundary=caller.policies.boundary,
                session=caller.policies.session,
                resource=None if policy is None else parse_statements(policy),
                requires_resource_policy=is_kms_key,
            ),
        )
        if not decision.allowed:
            message = decision.message(names_resource=permission.resource != "*")
            raise ServiceError("AccessDeniedException", message)


def _list_api_key_permissions(caller: Caller) -> Iterator[Permission]:
    """Yield the permission to use an API key. Source: service authorization reference, CallWithBearerToken."""
    if caller.api_key_type is not None:
        yield Permission(
            action="bedrock:CallWithBearerToken",
            context={"bedrock:bearerTokenType": caller.api_key_type},
        )


def _list_operation_permissions(
    region: Region, operation: str, params: Params
) -> Iterator[Permission]:
    action = f"bedrock:{_ACTIONS.get(operation, operation)}"
    request_tags = _build_tag_context(_find_tags(params), params.get("tagKeys", ()))
    if operation == "CreateModelCustomizationJob":
        for resource in (
            _base_model_arn(region, params["baseModelIdentifier"]),
            _any_arn(region, "jobTags"),
        ):
            context = {**_resource_tags(region, resource), **request_tags}
            yield Permission(action=action, resource=resource, context=context)
        yield Permission(
            action="iam:PassRole",
            resource=params["roleArn"],
            context={"iam:PassedToService": BEDROCK_PRINCIPAL},
        )
        yield from _list_key_permissions(region, params)
    elif operation in INVOKE_OPERATIONS:
        yield from _list_invoke_permissions(region, action, params["modelId"])
    elif operation in _FOUNDATION_MODEL_OPERATIONS:
        name = params.get("modelIdentifier") or params["modelId"]
        yield Permission(action=action, resource=_base_model_arn(region, name))
    else:
        arns = [] if operation in _WITHOUT_RESOURCE else list(_list_resource_arns(region, params))
        for resource in arns or ["*"]:
            context = {**_resource_tags(region, resource), **request_tags}
            yield Permission(action=action, resource=resource, context=context)
    if operation.startswith("Create"):
        yield from _list_tag_permissions(region, operation, params)
    if operation == "CreateProvisionedModelThroughput":
        yield from _list_decrypt_permissions(region, find(region.models, params["modelId"]))


def _list_tag_permissions(region: Region, operation: str, params: Params) -> Iterator[Permission]:
    """Yield the permissions to create a resource with tags."""
    for member in ("jobTags", "customModelTags", "tags"):
        if params.get(member):
            yield Permission(
                action="bedrock:TagResource",
                resource=_any_arn(region, operation if member == "tags" else member),
                context=_build_tag_context(params[member]),
            )


def _list_key_permissions(region: Region, params: Params) -> Iterator[Permission]:
    """Yield the permissions to encrypt a custom model. Source: user guide, encryption-custom-job (read 2026-11-22)."""
    if "customModelKmsKeyId" not in params:
        return
    key = region.client.find_key_arn(params["customModelKmsKeyId"])
    if key is None:
        raise ServiceError(
            "ValidationException", f"The KMS key {params['customModelKmsKeyId']} does not exist."
        )
    for action in ("kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"):
        yield _build_key_permission(region, action, key)


def _build_key_permission(region: Region, action: str, key: str) -> Permission:
    context = {
        "kms:ViaService": f"bedrock.{region.name}.amazonaws.com",
        "kms:CallerAccount": region.account,
    }
    if action == "kms:CreateGrant":
        context["kms:GrantIsForAWSResource"] = "true"
    return Permission(action=action, resource=key, context=context, is_kms_key=True)


def _list_decrypt_permissions(region: Region, model: Model | None) -> Iterator[Permission]:
    """Yield the permission to serve or invoke a model with a KMS key. Source: user guide, prov-thru-prereq."""
    if model is not None and model.job.kms_key is not None:
        yield _build_key_permission(region, "kms:Decrypt", model.job.kms_key)


def _any_arn(region: Region, kind: str) -> str:
    return f"arn:aws:bedrock:{region.name}:{region.account}:{_TAGGED_RESOURCES[kind]}"


def _base_model_arn(region: Region, identifier: str) -> str:
    if identifier.startswith("arn:"):
        return identifier
    model = find(region.models, identifier)
    if model is not None:
        return model.arn
    return f"arn:aws:bedrock:{region.name}::foundation-model/{identifier}"


def _list_invoke_permissions(region: Region, action: str, identifier: str) -> Iterator[Permission]:
    """Yield the permissions to invoke a model, or an inference profile and its model.

    Source: user guide, inference-profiles-prereq.
    """
    foundation = f"arn:aws:bedrock:{region.name}::foundation-model"
    geography, _, name = identifier.rsplit("/", 1)[-1].partition(".")
    if ":inference-profile/" in identifier or geography in _GEOGRAPHIES:
        profile = identifier
        if not identifier.startswith("arn:"):
            owner = f"{region.name}:{region.account}"
            profile = f"arn:aws:bedrock:{owner}:inference-profile/{identifier}"
        context = {"bedrock:InferenceProfileArn": profile}
        yield Permission(action=action, resource=profile)
        yield Permission(action=action, resource=f"{foundation}/{name}", context=context)
        return
    arn = identifier if identifier.startswith("arn:") else f"{foundation}/{identifier}"
    yield Permission(action=action, resource=arn, context=_resource_tags(region, arn))
    endpoint = find(region.deployments, arn) or find(region.throughputs, arn)
    yield from _list_decrypt_permissions(region, None if endpoint is None else endpoint.model)


def _list_resource_arns(region: Region, params: Params) -> Iterator[str]:
    """Yield the ARNs of the resources that the parameters identify, whether or not they exist."""
    tables: dict[str, Mapping[str, Any]] = {
        "model-customization-job": region.jobs,
        "custom-model": region.models,
        "custom-model-deployment": region.deployments,
        "provisioned-model": region.throughputs,
    }
    for member, kind in _IDENTIFIER_PARAMS.items():
        identifier = params.get(member)
        if identifier is None:
            continue
        entry = find(tables[kind], identifier) if kind else None
        if entry is not None:
            yield entry.arn
        elif identifier.startswith("arn:"):
            yield identifier
        else:
            yield f"arn:aws:bedrock:{region.name}:{region.account}:{kind}/{identifier}"


def _resource_tags(region: Region, arn: str) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in region.tags.get(arn, {}).items()}


def _find_tags(params: Params) -> list[Mapping[str, str]]:
    return params.get("tags") or params.get("jobTags") or []


def _build_tag_context(
    tags: Sequence[Mapping[str, str]], removed_keys: Sequence[str] = ()
) -> dict[str, str | list[str]]:
    context: dict[str, str | list[str]] = {
        f"aws:RequestTag/{tag['key']}": tag["value"] for tag in tags
    }
    keys = [*(tag["key"] for tag in tags), *removed_keys]
    if keys:
        context["aws:TagKeys"] = keys
    return context
