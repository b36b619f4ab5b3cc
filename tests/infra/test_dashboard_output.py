"""The address of the dashboard is an output of the stack, which `cdk deploy` prints."""

import pytest

from tests.conftest import create_template
from tunestack_cdk.stage import Stage

BASE = "console.aws.amazon.com/cloudwatch/home?region=us-west-2#dashboards/dashboard/"


@pytest.mark.parametrize("has_dashboard", [True, False])
def test_address_is_an_output_if_the_stage_has_a_dashboard(has_dashboard):
    stage = Stage(
        name="dev", regions=("us-west-2",), base_models=("llama-3-1-8b",), dashboard=has_dashboard
    )
    template = create_template(stage, "us-west-2").to_json()
    output = template["Outputs"].get("DashboardUrl")
    if not has_dashboard:
        assert output is None
        return
    prefix, name = output["Value"]["Fn::Join"][1]
    assert prefix == f"https://us-west-2.{BASE}"
    assert template["Resources"][name["Ref"]]["Type"] == "AWS::CloudWatch::Dashboard"
