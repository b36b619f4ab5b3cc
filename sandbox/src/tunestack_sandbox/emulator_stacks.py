"""Properties of resources in MiniStack's CloudFormation that it ignores or does not validate, other than those of buckets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def install() -> None:
    """Change the handlers of MiniStack's resource types."""
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415 - reads the environment on import

    _apply_topic_properties(provisioners)


def _apply_topic_properties(provisioners: Any) -> None:
    """Encrypt topics, and give them the default policy of SNS, which allows requests of the owner only.

    Source: SNS developer guide, sns-access-policy-use-cases, "Default topic policy".
    """
    from ministack.services import sns  # noqa: PLC0415

    handlers = provisioners._RESOURCE_HANDLERS["AWS::SNS::Topic"]  # noqa: SLF001
    create, update = handlers["create"], handlers["update"]

    def set_key(arn: str, properties: Mapping[str, Any]) -> None:
        attributes = sns._topics[arn]["attributes"]  # noqa: SLF001
        attributes.pop("KmsMasterKeyId", None)
        if key := properties.get("KmsMasterKeyId"):
            attributes["KmsMasterKeyId"] = key

    def create_topic(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, Any]:
        arn, values = create(logical_id, properties, stack)
        attributes = sns._topics[arn]["attributes"]  # noqa: SLF001
        policy = json.loads(attributes["Policy"])
        owner = {"StringEquals": {"AWS:SourceOwner": attributes["Owner"]}}
        policy["Statement"] = [row | {"Condition": owner} for row in policy["Statement"]]
        attributes["Policy"] = json.dumps(policy)
        set_key(arn, properties)
        return arn, values

    def update_topic(
        arn: str, old: dict[str, Any], new: dict[str, Any], *names: str
    ) -> tuple[str, Any]:
        arn, values = update(arn, old, new, *names)
        set_key(arn, new)
        return arn, values

    handlers.update(create=create_topic, update=update_topic)
    provisioners._sns_create = create_topic  # noqa: SLF001 - updates that replace a topic call it
