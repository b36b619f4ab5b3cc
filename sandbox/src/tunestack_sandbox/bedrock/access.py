"""What a caller needs for an operation, and whether they have it.

Source: service authorization reference of Amazon Bedrock (iam-data 0.21.202609261), for the resources of each action;
aws-samples/amazon-bedrock-workshop#233 for the job's own ARN at CreateModelCustomizationJob (all read 2026-11-22).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.role import BEDROCK
from tunestack_sandbox.bedrock.state import find
from tunestack_sandbox.iam import Access, Policies, decide, statements
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack_sandbox.bedrock.state import Model, Region
    from tunestack_sandbox.callers import Caller

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One action on one resource."""

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    key: bool = False
    """The resource is a KMS key, whose policy decides."""


# Actions that differ from the operation's name.
_ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
}
_IDENTIFIED = {
    "jobIdentifier": "model-customization-job",
    "modelIdentifier": "custom-model",
    "modelId": "custom-model",
    "modelArn": "custom-model",
    "desiredModelId": "custom-model",
    "customModelDeploymentIdentifier": "custom-model-deployment",
    "provisionedModelId": "provisioned-model",
    "resourceARN": "",
}
"""The parameters that name a resource, and its kind where they may hold a plain name."""
_TAGGED = {
    "jobTags": "model-customization-job/*",
    "customModelTags": "custom-model/*",
    "CreateCustomModelDeployment": "custom-model-deployment/*",
    "CreateProvisionedModelThroughput": "provisioned-model/*",
}
"""The resources that are tagged on creation, by the parameter or the operation."""
_FOUNDATION = {"GetFoundationModel", "CountTokens"}
_GEOGRAPHIES = ("us", "eu", "apac", "au", "ca", "jp", "global", "us-gov")
_INVOKE = {"Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"}
_OF_ALL = {"GetFoundationModelAvailability"}


def authorize(caller: Caller, region: Region, operation: str, params: Params) -> None:
    """Let a caller do an operation.

    Raises:
        Fault: they may not; in AWS's words.
    """
    for need in (*_bearing(caller), *_needs(region, operation, params)):
        access = Access(
            principal=caller.principal,
            action=need.action,
            resource=need.resource,
            account=region.account,
            context={
                **region.request_keys(),
                "aws:SourceIp": "127.0.0.1",
                "aws:ViaAWSService": "false",
                **need.context,
            },
        )
        policy = region.aws.key_policy(need.resource) if need.key else None
        decision = decide(
            access,
            Policies(
                identity=caller.policies.identity,
                boundary=caller.policies.boundary,
                session=caller.policies.session,
                resource=None if policy is None else statements(policy),
                resource_decides=need.key,
            ),
        )
        if not decision.allowed:
            message = decision.message(names_resource=need.resource != "*")
            raise Fault("AccessDeniedException", message)


def _bearing(caller: Caller) -> Iterator[Need]:
    """Return what the caller needs to use an API key: service authorization reference, CallWithBearerToken."""
    if caller.bearer is not None:
        yield Need(
            action="bedrock:CallWithBearerToken",
            context={"bedrock:bearerTokenType": caller.bearer},
        )


def _needs(region: Region, operation: str, params: Params) -> Iterator[Need]:
    action = f"bedrock:{_ACTIONS.get(operation, operation)}"
    asked = _tag_context(_tags_of(params), params.get("tagKeys", ()))
    if operation == "CreateModelCustomizationJob":
        for resource in (_base(region, params["baseModelIdentifier"]), _any(region, "jobTags")):
            context = {**_own_tags(region, resource), **asked}
            yield Need(action=action, resource=resource, context=context)
        yield Need(
            action="iam:PassRole",
            resource=params["roleArn"],
            context={"iam:PassedToService": BEDROCK},
        )
        yield from _key(region, params)
    elif operation in _INVOKE:
        yield from _calling(region, action, params["modelId"])
    elif operation in _FOUNDATION:
        name = params.get("modelIdentifier") or params["modelId"]
        yield Need(action=action, resource=_base(region, name))
    else:
        named = [] if operation in _OF_ALL else list(_named(region, params))
        for resource in named or ["*"]:
            context = {**_own_tags(region, resource), **asked}
            yield Need(action=action, resource=resource, context=context)
    if operation.startswith("Create"):
        yield from _tagging(region, operation, params)
    if operation == "CreateProvisionedModelThroughput":
        yield from _decrypting(region, find(region.models, params["modelId"]))


def _tagging(region: Region, operation: str, params: Params) -> Iterator[Need]:
    """Whoever creates something with tags tags it."""
    for member in ("jobTags", "customModelTags", "tags"):
        if params.get(member):
            yield Need(
                action="bedrock:TagResource",
                resource=_any(region, operation if member == "tags" else member),
                context=_tag_context(params[member]),
            )


def _key(region: Region, params: Params) -> Iterator[Need]:
    """Whoever has a model encrypted lets Bedrock use the key: user guide, encryption-custom-job (read 2026-11-22)."""
    if "customModelKmsKeyId" not in params:
        return
    key = region.aws.key_arn(params["customModelKmsKeyId"])
    if key is None:
        raise Fault(
            "ValidationException", f"The KMS key {params['customModelKmsKeyId']} does not exist."
        )
    for action in ("kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"):
        yield _use(region, action, key)


def _use(region: Region, action: str, key: str) -> Need:
    context = {
        "kms:ViaService": f"bedrock.{region.name}.amazonaws.com",
        "kms:CallerAccount": region.account,
    }
    if action == "kms:CreateGrant":
        context["kms:GrantIsForAWSResource"] = "true"
    return Need(action=action, resource=key, context=context, key=True)


def _decrypting(region: Region, model: Model | None) -> Iterator[Need]:
    """Whoever serves or calls a model of an own key may decrypt with it: user guide, prov-thru-prereq."""
    if model is not None and model.job.key is not None:
        yield _use(region, "kms:Decrypt", model.job.key)


def _any(region: Region, what: str) -> str:
    return f"arn:aws:bedrock:{region.name}:{region.account}:{_TAGGED[what]}"


def _base(region: Region, identifier: str) -> str:
    if identifier.startswith("arn:"):
        return identifier
    model = find(region.models, identifier)
    if model is not None:
        return model.arn
    return f"arn:aws:bedrock:{region.name}::foundation-model/{identifier}"


def _calling(region: Region, action: str, identifier: str) -> Iterator[Need]:
    """Whoever calls a profile may call it, and the model behind it: user guide, inference-profiles-prereq."""
    foundation = f"arn:aws:bedrock:{region.name}::foundation-model"
    geography, _, name = identifier.rsplit("/", 1)[-1].partition(".")
    if ":inference-profile/" in identifier or geography in _GEOGRAPHIES:
        profile = identifier
        if not identifier.startswith("arn:"):
            owner = f"{region.name}:{region.account}"
            profile = f"arn:aws:bedrock:{owner}:inference-profile/{identifier}"
        through = {"bedrock:InferenceProfileArn": profile}
        yield Need(action=action, resource=profile)
        yield Need(action=action, resource=f"{foundation}/{name}", context=through)
        return
    arn = identifier if identifier.startswith("arn:") else f"{foundation}/{identifier}"
    yield Need(action=action, resource=arn, context=_own_tags(region, arn))
    endpoint = find(region.deployments, arn) or find(region.throughputs, arn)
    yield from _decrypting(region, None if endpoint is None else endpoint.model)


def _named(region: Region, params: Params) -> Iterator[str]:
    """List the ARNs of the resources that the parameters name, known or not."""
    tables: dict[str, Mapping[str, Any]] = {
        "model-customization-job": region.jobs,
        "custom-model": region.models,
        "custom-model-deployment": region.deployments,
        "provisioned-model": region.throughputs,
    }
    for member, kind in _IDENTIFIED.items():
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


def _own_tags(region: Region, arn: str) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in region.tags.get(arn, {}).items()}


def _tags_of(params: Params) -> list[Mapping[str, str]]:
    return params.get("tags") or params.get("jobTags") or []


def _tag_context(
    tags: Sequence[Mapping[str, str]], removed: Sequence[str] = ()
) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {
        f"aws:RequestTag/{tag['key']}": tag["value"] for tag in tags
    }
    keys = [*(tag["key"] for tag in tags), *removed]
    if keys:
        found["aws:TagKeys"] = keys
    return found
