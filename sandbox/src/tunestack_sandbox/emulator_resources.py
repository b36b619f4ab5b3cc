"""Resources that AWS creates in another way than MiniStack, or refuses to create or delete."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.emulator_permissions import explain_key_denial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Properties = Mapping[str, Any]

_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_INVALID_DESCRIPTION = (
    "Invalid {} description. Valid descriptions are strings less than 256 characters from the "
    "following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{{}}!$*"
)
_RULE_ACTIONS = (
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateSecurityGroup",
    "ModifySecurityGroupRules",
)
_LOG_KEY_ACTIONS = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:DescribeKey",
)


def install() -> None:
    """Change MiniStack's operations and the handlers of its CloudFormation."""
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415 - reads the environment on import

    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    _change_topics(handlers["AWS::SNS::Topic"], provisioners)
    _validate_security_groups(handlers["AWS::EC2::SecurityGroup"])
    _require_empty_buckets(handlers["AWS::S3::Bucket"])
    _check_log_keys(handlers["AWS::Logs::LogGroup"], provisioners)
    _keep_dead_letter_queues(handlers["AWS::Lambda::Function"])


def _build_reason(message: str, service: str, status: int) -> str:
    """Build the reason with which a resource of a stack fails."""
    return f'Resource handler returned message: "{message} (Service: {service}, Status Code: {status})"'


def _change_topics(handlers: dict[str, Any], provisioners: Any) -> None:
    """Encrypt the topics of stacks, and give them SNS's default policy, which allows requests of the owner only.

    Source: SNS developer guide, sns-access-policy-use-cases.
    """
    from ministack.services import sns  # noqa: PLC0415

    create, update = handlers["create"], handlers["update"]

    def set_key(arn: str, properties: Properties) -> None:
        attributes = sns._topics[arn]["attributes"]  # noqa: SLF001
        attributes.pop("KmsMasterKeyId", None)
        if key := properties.get("KmsMasterKeyId"):
            attributes["KmsMasterKeyId"] = key

    def create_topic(logical_id: str, properties: Properties, stack: str) -> tuple[str, Any]:
        arn, values = create(logical_id, properties, stack)
        attributes = sns._topics[arn]["attributes"]  # noqa: SLF001
        policy = json.loads(attributes["Policy"])
        owner = {"StringEquals": {"AWS:SourceOwner": attributes["Owner"]}}
        policy["Statement"] = [row | {"Condition": owner} for row in policy["Statement"]]
        attributes["Policy"] = json.dumps(policy)
        set_key(arn, properties)
        return arn, values

    def update_topic(arn: str, old: Properties, new: Properties, *names: str) -> tuple[str, Any]:
        arn, values = update(arn, old, new, *names)
        set_key(arn, new)
        return arn, values

    handlers.update(create=create_topic, update=update_topic)
    provisioners._sns_create = create_topic  # noqa: SLF001 - updates that replace a topic call it


def _validate_security_groups(handlers: dict[str, Any]) -> None:
    """Check the descriptions of security groups and their rules, in stacks and in requests.

    Source: EC2 API reference, IpRange and CreateSecurityGroup; the messages are publicly quoted by users.
    """
    from ministack.services import ec2  # noqa: PLC0415

    def check_operation(handle: Callable[[Mapping[str, Any]], Any]) -> Callable[..., Any]:
        def handle_checked(params: Mapping[str, Any]) -> Any:
            texts = {name: ec2._p(params, name) for name in params}  # noqa: SLF001
            error = _find_invalid_description(_list_parameters(texts))
            if error is None:
                return handle(params)
            return ec2._error("InvalidParameterValue", escape(error, quote=False), 400)  # noqa: SLF001

        return handle_checked

    def check_properties(handle: Callable[..., Any], position: int) -> Callable[..., Any]:
        def handle_checked(*arguments: Any) -> Any:
            error = _find_invalid_description(_list_properties(arguments[position]))
            if error is not None:
                raise ValueError(_build_reason(error, "Ec2", 400))
            return handle(*arguments)

        return handle_checked

    actions = ec2._ACTION_MAP  # noqa: SLF001
    actions.update({name: check_operation(actions[name]) for name in _RULE_ACTIONS})
    handlers.update(
        create=check_properties(handlers["create"], 1),
        update=check_properties(handlers["update"], 2),
    )


def _list_parameters(params: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what each description in a request describes, and the description."""
    for name, text in params.items():
        if name == "GroupDescription":
            yield "security group", text
        elif name.endswith(".Description"):
            yield "rule", text


def _list_properties(properties: Properties) -> Iterator[tuple[str, str]]:
    """Yield what each description in the properties of a security group describes, and the description."""
    yield "security group", properties.get("GroupDescription", "")
    for member in ("SecurityGroupIngress", "SecurityGroupEgress"):
        for rule in properties.get(member) or ():
            yield "rule", rule.get("Description", "")


def _find_invalid_description(descriptions: Iterator[tuple[str, str]]) -> str | None:
    """Return EC2's message for the first invalid description, if there is one."""
    for kind, text in descriptions:
        if not _DESCRIPTION.fullmatch(text):
            return _INVALID_DESCRIPTION.format(kind)
    return None


def _require_empty_buckets(handlers: dict[str, Any]) -> None:
    """Refuse to delete a bucket that contains objects or versions, also with its stack.

    Source: S3 API reference, DeleteBucket; the message for versions is publicly quoted by users.
    """
    from ministack.services import s3  # noqa: PLC0415

    delete_bucket = s3._delete_bucket  # noqa: SLF001
    not_empty = "The bucket you tried to delete is not empty"

    def delete(name: str) -> tuple[int, Any, bytes]:
        response: tuple[int, Any, bytes] = delete_bucket(name)
        status, headers, body = response
        if status == 409 and name in s3._bucket_versioning:  # noqa: SLF001
            text = f"{not_empty}. You must delete all versions in the bucket."
            body = body.replace(not_empty.encode(), text.encode())
        return status, headers, body

    def delete_resource(name: str, _: Properties) -> None:
        status, _headers, body = delete(name)
        if status >= 400 and name in s3._buckets:  # noqa: SLF001
            message = body.decode().partition("<Message>")[2].partition("</Message>")[0]
            raise ValueError(_build_reason(message, "S3", status))

    s3._delete_bucket = delete  # noqa: SLF001
    handlers["delete"] = delete_resource


def _check_log_keys(handlers: dict[str, Any], provisioners: Any) -> None:
    """Check that CloudWatch Logs may use the KMS key of a log group, and name the log groups of stacks as AWS does.

    A key policy names these log groups by the name of the stack.
    """
    from ministack.core.responses import error_response_json  # noqa: PLC0415
    from ministack.services import cloudwatch_logs  # noqa: PLC0415

    create_log_group = cloudwatch_logs._create_log_group  # noqa: SLF001
    create, update = handlers["create"], handlers["update"]

    def create_checked(params: Mapping[str, Any]) -> Any:
        error = _find_log_key_error(str(params.get("logGroupName")), params.get("kmsKeyId"))
        if error is not None:
            return error_response_json("AccessDeniedException", error, 400)
        return create_log_group(params)

    def require_key(name: str, properties: Properties) -> None:
        error = _find_log_key_error(name, properties.get("KmsKeyId"))
        if error is not None:
            raise ValueError(_build_reason(error, "CloudWatchLogs", 400))

    def create_resource(logical_id: str, properties: Properties, stack: str) -> Any:
        name = properties.get("LogGroupName") or provisioners._physical_name(  # noqa: SLF001
            stack, logical_id, max_len=512
        )
        require_key(name, properties)
        return create(logical_id, {**properties, "LogGroupName": name}, stack)

    def update_resource(name: str, old: Properties, new: Properties, *names: str) -> Any:
        if not (old.get("LogGroupName") or new.get("LogGroupName")):
            old, new = ({**row, "LogGroupName": name} for row in (old, new))
        require_key(name, new)
        return update(name, old, new, *names)

    cloudwatch_logs._create_log_group = create_checked  # noqa: SLF001
    handlers.update(create=create_resource, update=update_resource)
    provisioners._cwlogs_create = create_resource  # noqa: SLF001 - updates that replace a log group call it


def _keep_dead_letter_queues(handlers: dict[str, Any]) -> None:
    """Keep the dead-letter queues of functions that stacks create or update."""
    from ministack.services import lambda_svc  # noqa: PLC0415

    def keep(handle: Callable[..., tuple[str, Any]], position: int) -> Callable[..., Any]:
        def handle_resource(*arguments: Any) -> tuple[str, Any]:
            name, values = handle(*arguments)
            config = lambda_svc._functions[name]["config"]  # noqa: SLF001
            config.pop("DeadLetterConfig", None)
            if queue := arguments[position].get("DeadLetterConfig"):
                config["DeadLetterConfig"] = queue
            return name, values

        return handle_resource

    handlers.update(create=keep(handlers["create"], 1), update=keep(handlers["update"], 2))


def _find_log_key_error(name: str, key: str | None) -> str | None:
    """Return the message of CloudWatch Logs if it may not use the KMS key of a log group.

    Source: CloudWatch Logs user guide, encrypt-log-data-kms; the message is publicly quoted by users
    (hashicorp/terraform-provider-aws#29282, aws/aws-cdk#28304).
    """
    from ministack.core.responses import get_account_id, get_region  # noqa: PLC0415

    if not key:
        return None
    region, account = get_region(), get_account_id()
    arn = f"arn:aws:logs:{region}:{account}:log-group:{name}"
    context = {
        "kms:EncryptionContext:aws:logs:arn": arn,
        "aws:SourceArn": arn,
        "aws:SourceAccount": account,
    }
    service = f"logs.{region}.amazonaws.com"
    if explain_key_denial(service, _LOG_KEY_ACTIONS, key, context=context) is None:
        return None
    return f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'"
