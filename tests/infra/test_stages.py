"""Invalid stages raise `StageError` before anything is synthesized."""

import pickle
import re
from datetime import date
from typing import Any

import pytest

import tunestack_cdk
from stages import STAGES
from tunestack import catalog
from tunestack.errors import TunestackError
from tunestack_cdk.stage import RunSchedule, Stage, StageError

OIDC_PROVIDER = "arn:aws:iam::123456789012:oidc-provider/token.example.com"
NETWORK = {"vpc_id": "vpc-0a1b2c3d", "subnet_ids": ("subnet-0a1b2c3d",)}
VALID: dict[str, Any] = {"name": "dev", "regions": ("us-east-1",), "base_models": ("nova-micro",)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Dev"}, "lowercase"),
        ({"name": "d" * 21}, "1 to 20"),
        ({"account": "12"}, "use 12 digits"),
        ({"regions": ()}, "at least one"),
        ({"regions": ("us_east_1",)}, "use region names"),
        ({"base_models": ("gpt-4o",)}, "unknown base model 'gpt-4o': use nova-micro"),
        ({"base_models": ("llama-3-1-8b",)}, "fine-tuned in us-west-2 only"),
        ({"data_prefix": "/x/"}, "data_prefix"),
        ({"regions": ("us-east-1", "us-east-1")}, "regions: duplicate values"),
        ({"regions": ("us-east-1", "cn-north-1")}, "one partition"),
        (
            {"default_endpoint_hours": 9, "max_endpoint_hours": 8},
            "default_endpoint_hours 9 is greater than max_endpoint_hours 8",
        ),
        ({"extra_data_locations": ({"uri": "s3://bucket/no-slash"},)}, "use s3://bucket/prefix/"),
        ({"extra_data_locations": ({"uri": "s3://bucket/../x/"},)}, "use s3://bucket/prefix/"),
        (
            {
                "extra_data_locations": (
                    {"uri": "s3://bucket/a/", "owner": "111122223333"},
                    {"uri": "s3://bucket/b/"},
                )
            },
            "the same bucket is listed with two owners",
        ),
        (
            {"extra_data_locations": ({"uri": "s3://bucket/a/", "owner": "1"},)},
            "extra_data_locations.0: invalid data location: owner '1': use 12 digits",
        ),
        (
            {"network": {"vpc_id": "vpc-0a", "subnet_ids": ("subnet-0a1b2c3d",)}},
            "network: invalid network: vpc_id 'vpc-0a': use the ID of a VPC",
        ),
        ({"network": NETWORK, "regions": ("us-east-1", "us-west-2")}, "network: use one region"),
        ({"roles": {"tuners": ("*",)}}, "roles: invalid roles: tuners.0 '.': use ARNs of roles"),
        ({"roles": {"ci": {"provider_arn": OIDC_PROVIDER, "subjects": ("*",)}}}, "a wildcard"),
        ({"roles": {"ci": {"provider_arn": OIDC_PROVIDER, "subjects": ()}}}, "at least one"),
        ({"alert_email": "a@b, c@d"}, "alert_email"),
        ({"qualifier": "Team"}, "qualifier"),
        ({"colour": "red"}, "unknown setting 'colour'"),
        ({"retain_data": "yes"}, "retain_data 'yes'"),
    ],
)
def test_invalid_setting_is_named_in_the_message(changes, message):
    with pytest.raises(StageError, match=message) as error:
        Stage(**VALID | changes)
    assert "\n" not in str(error.value)
    assert "pydantic" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expression": "cron(0 2 * * *)"}, "use cron(0 2 * * ? *), with six fields"),
        ({"expression": "rate(1 days)"}, "or rate(1 day)"),
        ({"expression": "at(2026-12-01T02:00:00)"}, "or rate(1 day)"),
        ({"name": "Every night"}, "lowercase"),
        ({"region": "us-west-2"}, "us-west-2 is not in the regions of the stage"),
        ({"sweep": "s3://elsewhere/a.toml"}, "is in no location of extra_data_locations"),
        ({"sweep": "nightly.toml"}, "use the s3:// location of a .toml file"),
    ],
)
def test_invalid_schedule_is_named_in_the_message(changes, message):
    schedule = {"name": "nightly", "expression": "cron(0 2 * * ? *)", **changes}
    with pytest.raises(StageError, match=re.escape(message)):
        Stage(**VALID | {"run_schedules": (RunSchedule(**schedule),)})


def test_schedules_with_one_name_are_refused():
    schedule = RunSchedule(name="nightly", expression="rate(12 hours)")
    with pytest.raises(StageError, match="run_schedules: duplicate names"):
        Stage(**VALID | {"run_schedules": (schedule, schedule)})


def test_all_invalid_settings_are_in_one_message():
    with pytest.raises(
        StageError, match=r"name 'X': .*; regions: use at least one value; account '1': "
    ):
        Stage(name="X", account="1", regions=(), base_models=())


def test_stage_error_is_a_tunestack_error_and_a_value_error():
    with pytest.raises(TunestackError) as error:
        Stage(**VALID | {"name": "X"})
    assert isinstance(error.value, ValueError)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_endpoint_limits_are_settings_of_the_stage():
    assert Stage(**VALID | {"max_endpoint_hours": 8}).max_endpoint_hours == 8


def test_default_stage_allows_every_model_that_bedrock_fine_tunes():
    tunable = {model.key for model in catalog.tunable(on=date(2026, 11, 22), provider="bedrock")}
    assert set(STAGES["dev"].base_models) == tunable


def test_public_names_exist_and_are_sorted():
    assert sorted(tunestack_cdk.__all__) == tunestack_cdk.__all__
    for name in tunestack_cdk.__all__:
        assert getattr(tunestack_cdk, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Stagg'"):
        tunestack_cdk.Stagg  # noqa: B018
