"""Strings in the templates are within the limits of the services, which CloudFormation does not check."""

import copy

import pytest

from tests.infra.example_stages import STAGE_REGIONS
from tests.infra.invariants.strings import LIMITS, find_invalid_strings, find_values
from tests.infra.resolver import Resolver
from tunestack_cdk.stage import Network, Stage

WITH_NETWORK = Stage(
    name="prod",
    regions=("us-east-1",),
    base_models=("nova-micro",),
    model_key=True,
    network=Network(
        vpc_id="vpc-0a1b2c3d4e5f60718",
        subnet_ids=("subnet-0a1b2c3d4e5f60718",),
        bedrock_endpoints=True,
    ),
)


def resolve(synthesized, stage, region):
    return Resolver(synthesized(stage, region).to_json(), region=region).resolve()


@pytest.mark.parametrize(("stage", "region"), STAGE_REGIONS)
def test_strings_are_within_the_limits_of_the_services(synthesized, stage, region):
    assert find_invalid_strings(resolve(synthesized, stage, region)) == []


def test_strings_of_a_network_stage_are_within_the_limits(synthesized):
    resources = resolve(synthesized, WITH_NETWORK, "us-east-1")
    assert find_invalid_strings(resources) == []
    assert [
        *find_values(
            list(resources.values()), ["Properties", "SecurityGroupIngress", "Description"]
        )
    ]


def test_an_apostrophe_in_the_description_of_a_rule_is_found(synthesized):
    """EC2 does not allow it (API reference, IpRange). The network stage once had such a description."""
    resources = copy.deepcopy(resolve(synthesized, WITH_NETWORK, "us-east-1"))
    for resource in resources.values():
        for rule in resource["Properties"].get("SecurityGroupIngress", []):
            rule["Description"] = "Anybody's resources"
    (invalid,) = find_invalid_strings(resources)
    assert "SecurityGroupIngress.Description" in invalid


def test_every_description_of_a_resource_has_a_limit(synthesized):
    resources = resolve(synthesized, WITH_NETWORK, "us-east-1")
    described = {
        (resource["Type"], key)
        for resource in resources.values()
        for key in resource.get("Properties", {})
        if key.endswith(("Description", "DisplayName"))
    }
    assert described <= LIMITS.keys()
