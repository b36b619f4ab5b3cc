"""A stage that could not be deployed is refused before anything is synthesized."""

import pytest

from stages import STAGES
from tunestack_cdk.stage import Endpoints, Stage, StageError

OIDC = "arn:aws:iam::123456789012:oidc-provider/token.example.com"
NETWORK = {"vpc_id": "vpc-0a1b2c3d", "subnet_ids": ("subnet-0a1b2c3d",)}
GOOD = {"name": "dev", "regions": ("us-east-1",), "base_models": ("nova-micro",)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Dev"}, "lower-case"),
        ({"name": "d" * 21}, "1 to 20"),
        ({"account": "12"}, "twelve digits"),
        ({"regions": ()}, "at least one"),
        ({"regions": ("us_east_1",)}, "use names of regions"),
        ({"base_models": ("gpt-4o",)}, "not in the catalog: use nova-micro"),
        ({"base_models": ("llama-3-1-8b",)}, "tuned in us-west-2 only"),
        ({"data_prefix": "/x/"}, "data_prefix"),
    ],
)
def test_a_mistake_is_named_with_what_would_work(changes, words):
    with pytest.raises(ValueError, match=words):
        Stage(**GOOD | changes)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(
        ValueError, match=r"name 'X': .*; regions: name at least one; account '1': "
    ):
        Stage(name="X", account="1", regions=(), base_models=())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"regions": ("us-east-1", "us-east-1")}, "one is there twice"),
        ({"regions": ("us-east-1", "cn-north-1")}, "one partition"),
        ({"endpoints": Endpoints(max_hours=8)}, ""),
        ({"endpoints": {"default_hours": 9, "max_hours": 8}}, "default_hours 9 is more than"),
        ({"extra_data": ({"uri": "s3://bucket/no-slash"},)}, "use s3://bucket/prefix/"),
        ({"extra_data": ({"uri": "s3://bucket/../x/"},)}, "use s3://bucket/prefix/"),
        (
            {
                "extra_data": (
                    {"uri": "s3://bucket/a/", "account": "111122223333"},
                    {"uri": "s3://bucket/b/"},
                )
            },
            "a bucket has one owner",
        ),
        ({"network": {"vpc_id": "vpc-0a", "subnet_ids": ("subnet-0a1b2c3d",)}}, "network.vpc_id"),
        ({"network": NETWORK, "regions": ("us-east-1", "us-west-2")}, "of one region"),
        ({"roles": {"tuners": ("*",)}}, "roles.tuners.0"),
        ({"roles": {"ci": {"provider_arn": OIDC, "subjects": ("*",)}}}, "no wildcard"),
        ({"roles": {"ci": {"provider_arn": OIDC, "subjects": ()}}}, "at least one"),
        ({"alert_email": "a@b, c@d"}, "alert_email"),
        ({"qualifier": "Team"}, "qualifier"),
        ({"colour": "red"}, "there is no such setting"),
        ({"retain_data": "yes"}, "retain_data 'yes'"),
    ],
)
def test_further_settings_are_checked_too(changes, words):
    if not words:
        assert Stage(**GOOD | changes)
        return
    with pytest.raises(StageError, match=words) as error:
        Stage(**GOOD | changes)
    assert "\n" not in str(error.value)
    assert "pydantic" not in str(error.value)


def test_the_example_stage_allows_everything_that_bedrock_tunes_today():
    from datetime import date

    from tunestack import catalog

    today = {model.key for model in catalog.tunable(on=date(2026, 11, 22), provider="bedrock")}
    assert today == set(STAGES["dev"].base_models)
