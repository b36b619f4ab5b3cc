"""The time at which an endpoint is deleted automatically: where it is shown, and how it is extended."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning, Expiry
from tunestack._utils.formatting import utc_text
from tunestack.endpoints.expiry import expiry_text
from tunestack.errors import AccessError, ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")

HOUR = timedelta(hours=1)


@pytest.fixture
def endpoint_with_ttl(llama, west):
    """Start provisioned throughput that expires in six hours."""
    llama.start_endpoint(ttl=6 * HOUR)
    yield llama.endpoint()
    llama.stop_endpoint()


def get_tag(arn):
    rows = boto3.client("bedrock", arn.split(":")[3]).list_tags_for_resource(resourceARN=arn)
    return {row["key"]: row["value"] for row in rows["tags"]}.get("tunestack:expires-at")


def set_tag(arn, value):
    boto3.client("bedrock", arn.split(":")[3]).tag_resource(
        resourceARN=arn, tags=[{"key": "tunestack:expires-at", "value": value}]
    )


class TestExtend:
    def test_shorter_ttl_keeps_the_expiry(self, endpoint_with_ttl, west):
        before = endpoint_with_ttl.expires_at
        assert before == endpoint_with_ttl.extend(HOUR) == endpoint_with_ttl.expires_at
        assert before == west.endpoint(endpoint_with_ttl.name).expires_at
        assert before == datetime.fromisoformat(get_tag(endpoint_with_ttl.id))

    def test_longer_ttl_counts_from_now_and_is_idempotent(self, endpoint_with_ttl, sandbox):
        before = endpoint_with_ttl.expires_at
        end = endpoint_with_ttl.extend(8 * HOUR)
        assert (
            before
            < end
            == endpoint_with_ttl.expires_at
            == datetime.fromisoformat(get_tag(endpoint_with_ttl.id))
        )
        # The time of AWS has whole seconds, and goes on.
        shortest, longest = timedelta(seconds=-10), timedelta(minutes=5)
        assert shortest <= end - sandbox.clock.now() - 8 * HOUR <= longest
        assert end == endpoint_with_ttl.extend(8 * HOUR - timedelta(minutes=1))

    def test_endpoint_without_expiry_gets_none(self, job):
        job.start_endpoint()
        endpoint = job.endpoint()
        assert (endpoint.expiry, endpoint.expires_at) == (Expiry.NEVER, None)
        assert endpoint.extend(HOUR) is None
        assert get_tag(endpoint.id) is None
        job.stop_endpoint()

    def test_model_at_openai_never_expires(self, tuner, chat):
        model = tuner.submit("openai/gpt-4o-mini-2024-07-18", chat).wait().model
        endpoint = tuner.endpoint(model)
        assert (endpoint.expiry, endpoint.extend(HOUR)) == (Expiry.NEVER, None)

    def test_error_about_a_ttl_beyond_the_limit_has_the_latest_expiry(self, endpoint_with_ttl):
        latest = endpoint_with_ttl.info.created + 24 * HOUR
        with pytest.raises(ConfigError) as raised:
            endpoint_with_ttl.extend(24 * HOUR)
        message = str(raised.value)
        assert f"can end at {utc_text(latest)} at the latest, 1 day after its creation" in message
        assert "invalid ttl of 1 day " in message
        assert f"its end is still {expiry_text(endpoint_with_ttl.info)}" in message
        assert "timedelta" not in message

    def test_rounding_never_exceeds_the_limit(self, endpoint_with_ttl, sandbox):
        latest = (endpoint_with_ttl.info.created + 24 * HOUR).replace(microsecond=0)
        # The last second before the limit, which would otherwise be rounded up to five minutes.
        end = endpoint_with_ttl.extend(latest - sandbox.clock.now() - timedelta(seconds=5))
        left = latest - end
        # A time that is a multiple of five minutes already is not rounded.
        longest = 6 if (end.minute % 5, end.second) == (0, 0) else 1
        assert timedelta(0) <= left <= timedelta(seconds=longest)

    def test_on_demand_deployment_can_be_extended_beyond_24_hours(self, job, sandbox):
        job.start_endpoint(ttl=24 * HOUR)
        sandbox.clock.advance(20 * 3600)
        end = job.endpoint().extend(24 * HOUR)
        assert end - sandbox.clock.now() >= 24 * HOUR - timedelta(seconds=10)
        job.stop_endpoint()

    @pytest.mark.parametrize("ttl", [timedelta(0), -HOUR, "1h", None, timedelta.max])
    def test_invalid_ttl_changes_nothing(self, endpoint_with_ttl, ttl):
        before = get_tag(endpoint_with_ttl.id)
        with pytest.raises(ConfigError, match="invalid ttl"):
            endpoint_with_ttl.extend(ttl)
        assert before == get_tag(endpoint_with_ttl.id)

    def test_expiry_is_not_changed_without_permission_to_read_it(
        self, endpoint_with_ttl, inject_error
    ):
        before = get_tag(endpoint_with_ttl.id)
        inject_error("ListTagsForResource", "AccessDeniedException")
        with pytest.raises(AccessError, match="getting the tags of endpoint"):
            endpoint_with_ttl.extend(8 * HOUR)
        assert before == get_tag(endpoint_with_ttl.id)


class TestDisplay:
    def test_warning_of_start_has_the_expiry_in_utc(self, llama):
        with pytest.warns(EndpointCostWarning) as warned:
            llama.start_endpoint(ttl=2 * HOUR)
        endpoint = llama.endpoint()
        assert Expiry.SCHEDULED is endpoint.info.expiry
        assert endpoint.info.expires_at == datetime.fromisoformat(get_tag(endpoint.id))
        assert f"deletes it at {utc_text(endpoint.expires_at)}" in str(warned[0].message)
        llama.stop_endpoint()

    def test_warning_about_an_existing_endpoint_has_its_expiry(
        self, endpoint_with_ttl, west, llama
    ):
        end = utc_text(endpoint_with_ttl.expires_at)
        with pytest.warns(EndpointCostWarning, match=f"exists already.*deletes it at {end}, as"):
            west.job(llama.id).start_endpoint(ttl=HOUR)
        assert end == utc_text(west.job(llama.id).endpoint().expires_at)

    def test_listed_and_refreshed_endpoints_have_the_expiry(self, endpoint_with_ttl, west):
        (listed,) = west.endpoints()
        assert endpoint_with_ttl.expires_at == listed.info.expires_at == listed.refresh().expires_at
        assert endpoint_with_ttl.expires_at.tzinfo is UTC

    def test_limit_of_the_stage_applies_if_it_is_earlier_than_the_tag(
        self, endpoint_with_ttl, west
    ):
        set_tag(endpoint_with_ttl.id, "2030-01-01T00:00:00Z")
        assert (
            endpoint_with_ttl.info.created + 24 * HOUR
            == west.endpoint(endpoint_with_ttl.name).expires_at
        )

    def test_provisioned_throughput_with_an_invalid_tag_has_the_default_expiry(
        self, endpoint_with_ttl, west
    ):
        set_tag(endpoint_with_ttl.id, "tomorrow")
        assert (
            endpoint_with_ttl.info.created + 4 * HOUR
            == west.endpoint(endpoint_with_ttl.name).expires_at
        )

    def test_expiry_is_unknown_if_tags_can_not_be_read(
        self, endpoint_with_ttl, west, inject_error, llama
    ):
        inject_error("ListTagsForResource", "AccessDeniedException", times=3)
        endpoint = west.endpoint(endpoint_with_ttl.name)
        assert (endpoint.info.expiry, endpoint.info.expires_at) == (Expiry.UNKNOWN, None)
        with pytest.warns(EndpointCostWarning, match="Its expiry is unknown"):
            west.job(llama.id).start_endpoint()
        assert Expiry.UNKNOWN is next(west.endpoints()).info.expiry
        assert Expiry.SCHEDULED is endpoint.expiry, "the expiry is read again on access"

    def test_endpoint_without_a_stage_tag_never_expires(self, llama, west):
        bedrock = boto3.client("bedrock", "us-west-2")
        arn = bedrock.create_provisioned_model_throughput(
            provisionedModelName="other",
            modelId=llama.model,
            modelUnits=1,
            tags=[{"key": "tunestack:expires-at", "value": "2026-11-02T00:00:00Z"}],
        )["provisionedModelArn"]
        assert Expiry.NEVER is west.endpoint(arn).expiry
        assert west.endpoint(arn).extend(HOUR) is None


class TestCli:
    def test_list_and_show_have_the_expiry(self, endpoint_with_ttl, cli):
        end = utc_text(endpoint_with_ttl.expires_at)
        _, out, _ = cli("endpoints", "list", "--region", "us-west-2")
        assert end in out
        code, out, _ = cli("endpoints", "show", endpoint_with_ttl.name, "--region", "us-west-2")
        assert (code, f"expires_at   {end}" in out) == (0, True)
        _, out, _ = cli("endpoints", "show", endpoint_with_ttl.id, "--json")
        shown = json.loads(out)
        assert endpoint_with_ttl.expires_at.isoformat() == shown["expires_at"]
        assert ("scheduled", endpoint_with_ttl.id) == (shown["expiry"], shown["id"])

    def test_missing_expiry_is_never_and_unreadable_expiry_is_unknown(self, job, cli, inject_error):
        name = job.start_endpoint().name
        assert "\tnever\t" in cli("endpoints", "list")[1]
        inject_error("ListTagsForResource", "AccessDeniedException")
        assert "expires_at   unknown\n" in cli("endpoints", "show", name)[1]
        inject_error("ListTagsForResource", "AccessDeniedException")
        (row,) = map(json.loads, cli("endpoints", "list", "--json")[1].splitlines())
        assert (row["expiry"], row["expires_at"]) == ("unknown", None)
        code, _, err = cli("endpoints", "extend", name, "--ttl", "1h")
        assert (code, "has no expiry: nothing was changed" in err) == (0, True)
        job.stop_endpoint()

    def test_extend_prints_the_old_and_the_new_expiry(self, endpoint_with_ttl, cli):
        old = endpoint_with_ttl.expires_at
        code, out, err = cli("endpoints", "extend", endpoint_with_ttl.id, "--ttl", "8h", "--json")
        shown = json.loads(out)
        assert (0, old.isoformat()) == (code, shown["previous_expires_at"])
        new = datetime.fromisoformat(shown["expires_at"])
        assert old < new
        assert f"expires at {utc_text(new)} (before: {utc_text(old)})" in err
        code, out, err = cli("endpoints", "extend", endpoint_with_ttl.id, "--ttl", "1h")
        assert (code, f"already expires later, at {utc_text(new)}" in err) == (0, True)
        code, _, err = cli("endpoints", "extend", endpoint_with_ttl.id, "--ttl", "2d")
        assert (code, "invalid ttl of 2 days" in err) == (2, True)
