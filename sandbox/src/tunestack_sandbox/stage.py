"""Deploy the `dev` stage into the sandbox, from the templates that `cdk synth` wrote into the wheel."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, WaiterError

from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable

    from tunestack_sandbox.aws import Aws

SUFFIX = ".template.json"
# What `cdk bootstrap` leaves for stacks to look at.
_BOOTSTRAP = ("/cdk-bootstrap/hnb659fds/version", "30")


def deploy(aws: Callable[[str], Aws]) -> None:
    """Create one stack for each template, each in its region.

    Args:
        aws: a look at a region of the account.

    Raises:
        TunestackError: a stack can't be created.
    """
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda template: _deploy(aws, template), _templates()))


def regions() -> set[str]:
    """Name the regions that the templates are for."""
    return {_region(template.read_text("utf-8")) for template in _templates()}


def _templates() -> list[Traversable]:
    folder = files("tunestack_sandbox").joinpath("templates")
    return [entry for entry in folder.iterdir() if entry.name.endswith(SUFFIX)]


def _region(template: str) -> str:
    region: str = json.loads(template)["Metadata"]["tunestack:region"]
    return region


def _deploy(look: Callable[[str], Aws], template: Traversable) -> None:
    name = template.name.removesuffix(SUFFIX)
    text = template.read_text("utf-8")
    aws = look(_region(text))
    aws.client("ssm").put_parameter(Name=_BOOTSTRAP[0], Value=_BOOTSTRAP[1], Type="String")
    cloudformation = aws.client("cloudformation")
    try:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=_short(text),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )
    except (ClientError, WaiterError) as error:
        raise TunestackError(f"stack {name!r} can't be created in the sandbox: {error}") from error


def _short(template: str) -> str:
    """Leave out what only people read: CloudFormation takes 51,200 bytes, if not from a bucket."""
    document = json.loads(template)
    for resource in document["Resources"].values():
        resource.pop("Metadata", None)
    return json.dumps(document, separators=(",", ":"))
