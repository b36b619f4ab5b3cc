"""Deploys the `dev` stage in the sandbox, from the templates of `cdk synth` that the package contains."""

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

    from tunestack_sandbox.emulator_client import EmulatorClient

_SUFFIX = ".template.json"
# The SSM parameter of `cdk bootstrap`, which stacks check.
_BOOTSTRAP_VERSION = ("/cdk-bootstrap/hnb659fds/version", "30")


def deploy_stage(client: Callable[[str], EmulatorClient]) -> None:
    """Create the stack of each template in its region.

    Args:
        client: Returns the client of a region.

    Raises:
        TunestackError: A stack can't be created.
    """
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda template: _create_stack(client, template), _list_templates()))


def list_stage_regions() -> set[str]:
    """Return the regions of the templates."""
    return {_read_region(template.read_text("utf-8")) for template in _list_templates()}


def _list_templates() -> list[Traversable]:
    folder = files("tunestack_sandbox").joinpath("templates")
    return [entry for entry in folder.iterdir() if entry.name.endswith(_SUFFIX)]


def _read_region(template: str) -> str:
    region: str = json.loads(template)["Metadata"]["tunestack:region"]
    return region


def _create_stack(client: Callable[[str], EmulatorClient], template: Traversable) -> None:
    name = template.name.removesuffix(_SUFFIX)
    text = template.read_text("utf-8")
    region = client(_read_region(text))
    parameter, version = _BOOTSTRAP_VERSION
    region.client("ssm").put_parameter(Name=parameter, Value=version, Type="String")
    cloudformation, s3 = region.client("cloudformation"), client("us-east-1").client("s3")
    try:
        # A template in a request is limited to 51,200 bytes, in a bucket to 1 MB (CloudFormation user guide, limits).
        bucket = f"templates-{name.lower()}"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="template", Body=text.encode())
        cloudformation.create_stack(
            StackName=name,
            TemplateURL=f"https://s3.amazonaws.com/{bucket}/template",
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )
        s3.delete_object(Bucket=bucket, Key="template")
        s3.delete_bucket(Bucket=bucket)
    except (ClientError, WaiterError) as error:
        raise TunestackError(f"stack {name!r} can't be created in the sandbox: {error}") from error
