"""Hypothesis strategies for the settings of stages, most of them valid."""

from hypothesis import strategies as st

from tunestack.catalog import CATALOG

ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10_000),
    st.text(max_size=12),
    st.tuples(),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def mostly(valid):
    """Return a strategy that draws a valid value, or any value in one of 25 cases."""
    return st.integers(0, 24).flatmap(lambda number: ANY_VALUE if number == 0 else valid)


KNOWN_SETTINGS = st.fixed_dictionaries(
    {
        "name": mostly(st.from_regex(r"[a-z][a-z0-9-]{0,19}", fullmatch=True)),
        "regions": mostly(
            st.lists(
                st.sampled_from(["us-east-1", "us-west-2", "eu-west-1", "us-gov-west-1"]),
                min_size=1,
                max_size=2,
            ).map(tuple)
        ),
        "base_models": mostly(
            st.lists(st.sampled_from([model.key for model in CATALOG][:12]), max_size=3).map(tuple)
        ),
    },
    optional={
        "account": mostly(st.from_regex(r"[0-9]{12}", fullmatch=True)),
        "data_prefix": mostly(st.sampled_from(["tunestack", "a/b", "x-y"])),
        "retain_data": mostly(st.booleans()),
        "model_key": mostly(st.booleans()),
        "dashboard": mostly(st.booleans()),
        "alert_email": mostly(st.just("a@example.com")),
        "monthly_budget_usd": mostly(st.integers(1, 10_000)),
        "allow_provisioned_throughput": mostly(st.booleans()),
        "default_endpoint_hours": mostly(st.integers(1, 30)),
        "max_endpoint_hours": mostly(st.integers(1, 100)),
        "extra_data_locations": mostly(
            st.just(({"uri": "s3://elsewhere/data/", "owner": "999999999999"},))
        ),
        "roles": mostly(st.just({"tuners": ("arn:aws:iam::123456789012:role/a",), "viewers": ()})),
        "network": mostly(
            st.just(
                {"vpc_id": "vpc-0a1b2c3d", "subnet_ids": ("subnet-0a1b2c3d", "subnet-1a2b3c4d")}
            )
        ),
        "permissions_boundary": mostly(st.just("boundary")),
        "qualifier": mostly(st.just("team")),
    },
)
STAGE_SETTINGS = st.tuples(KNOWN_SETTINGS, st.integers(0, 24)).map(
    lambda drawn: drawn[0] | ({"unknown_setting": 1} if drawn[1] == 0 else {})
)
"""Settings of a stage, with an unknown one in one of 25 cases."""
