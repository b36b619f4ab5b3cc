"""When an endpoint is deleted automatically: shown everywhere, and never earlier than before."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tunestack import EndpointCostWarning, Expiry
from tunestack._utils.formatting import utc_text
from tunestack.cli.commands import run
from tunestack.endpoints.expiry import expiry_text
from tunestack.errors import AccessError, ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")

HOUR = timedelta(hours=1)


@pytest.fixture
def started(llama, west):
    """Provisioned throughput that ends in six hours."""
    llama.start_endpoint(ttl=6 * HOUR)
    yield llama.endpoint()
    llama.stop_endpoint()


@pytest.fixture
def cli(capsys):
    def call(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def tag_of(arn):
    rows = boto3.client("bedrock", arn.split(":")[3]).list_tags_for_resource(resourceARN=arn)
    return {row["key"]: row["value"] for row in rows["tags"]}.get("tunestack:expires-at")


def tag(arn, value):
    boto3.client("bedrock", arn.split(":")[3]).tag_resource(
        resourceARN=arn, tags=[{"key": "tunestack:expires-at", "value": value}]
    )


class TestExtend:
    def test_a_shorter_ttl_keeps_the_end(self, started, west):
        before = started.expires_at
        assert before == started.extend(HOUR) == started.expires_at
        assert before == west.endpoint(started.name).expires_at
        assert before == datetime.fromisoformat(tag_of(started.id))

    def test_a_longer_ttl_counts_from_now_and_is_safe_to_repeat(self, started, sandbox):
        before = started.expires_at
        end = started.extend(8 * HOUR)
        assert before < end == started.expires_at == datetime.fromisoformat(tag_of(started.id))
        assert 8 * HOUR <= end - sandbox.clock.now() <= 8 * HOUR + timedelta(minutes=5)
        assert end == started.extend(8 * HOUR - timedelta(minutes=1))

    def test_an_endpoint_without_an_end_gets_none(self, job):
        job.start_endpoint()
        endpoint = job.endpoint()
        assert (endpoint.expiry, endpoint.expires_at) == (Expiry.NEVER, None)
        assert endpoint.extend(HOUR) is None
        assert tag_of(endpoint.id) is None
        job.stop_endpoint()

    def test_a_model_at_openai_has_no_end(self, tuner, chat):
        model = tuner.submit("openai/gpt-4o-mini-2024-07-18", chat).wait().model
        endpoint = tuner.endpoint(model)
        assert (endpoint.expiry, endpoint.extend(HOUR)) == (Expiry.NEVER, None)

    def test_beyond_the_limit_the_error_has_the_latest_end(self, started):
        latest = started.info.created + 24 * HOUR
        with pytest.raises(ConfigError) as refused:
            started.extend(24 * HOUR)
        message = str(refused.value)
        assert f"can end at {utc_text(latest)} at the latest, 1 day after its creation" in message
        assert "invalid ttl of 1 day " in message
        assert f"its end is still {expiry_text(started.info)}" in message
        assert "timedelta" not in message

    def test_rounding_never_passes_the_limit(self, started, sandbox):
        latest = (started.info.created + 24 * HOUR).replace(microsecond=0)
        # The last second that is allowed, which is rounded up to five minutes elsewhere.
        end = started.extend(latest - sandbox.clock.now() - timedelta(seconds=5))
        assert latest - timedelta(seconds=1) <= end <= latest

    def test_a_free_endpoint_has_no_limit_from_its_creation_on(self, job, sandbox):
        job.start_endpoint(ttl=24 * HOUR)
        sandbox.clock.advance(20 * 3600)
        end = job.endpoint().extend(24 * HOUR)
        assert end - sandbox.clock.now() >= 24 * HOUR
        job.stop_endpoint()

    @pytest.mark.parametrize("ttl", [timedelta(0), -HOUR, "1h", None, timedelta.max])
    def test_an_invalid_ttl_changes_nothing(self, started, ttl):
        before = tag_of(started.id)
        with pytest.raises(ConfigError, match="invalid ttl"):
            started.extend(ttl)
        assert before == tag_of(started.id)

    def test_without_the_permission_to_read_the_end_it_is_not_changed(self, started, broken):
        before = tag_of(started.id)
        broken("ListTagsForResource", "AccessDeniedException")
        with pytest.raises(AccessError, match="getting the tags of endpoint"):
            started.extend(8 * HOUR)
        assert before == tag_of(started.id)


class TestShown:
    def test_start_says_the_end_in_utc(self, llama):
        with pytest.warns(EndpointCostWarning) as warned:
            llama.start_endpoint(ttl=2 * HOUR)
        endpoint = llama.endpoint()
        assert Expiry.SCHEDULED is endpoint.info.expiry
        assert endpoint.info.expires_at == datetime.fromisoformat(tag_of(endpoint.id))
        assert f"deletes it at {utc_text(endpoint.expires_at)}" in str(warned[0].message)
        llama.stop_endpoint()

    def test_an_adopted_endpoint_says_its_own_end(self, started, west, llama):
        end = utc_text(started.expires_at)
        with pytest.warns(EndpointCostWarning, match=f"exists already.*deletes it at {end}, as"):
            west.job(llama.id).start_endpoint(ttl=HOUR)
        assert end == utc_text(west.job(llama.id).endpoint().expires_at)

    def test_lists_and_observations_have_it(self, started, west):
        (listed,) = west.endpoints()
        assert started.expires_at == listed.info.expires_at == listed.refresh().expires_at
        assert started.expires_at.tzinfo is UTC

    def test_the_limit_of_the_stage_counts_if_it_is_earlier_than_the_tag(self, started, west):
        tag(started.id, "2030-01-01T00:00:00Z")
        assert started.info.created + 24 * HOUR == west.endpoint(started.name).expires_at

    def test_provisioned_throughput_without_a_readable_tag_has_the_stages_default(
        self, started, west
    ):
        tag(started.id, "tomorrow")
        assert started.info.created + 4 * HOUR == west.endpoint(started.name).expires_at

    def test_where_tags_may_not_be_read_it_is_unknown(self, started, west, broken, llama):
        broken("ListTagsForResource", "AccessDeniedException", times=3)
        endpoint = west.endpoint(started.name)
        assert (endpoint.info.expiry, endpoint.info.expires_at) == (Expiry.UNKNOWN, None)
        with pytest.warns(EndpointCostWarning, match="Its expiry is unknown"):
            west.job(llama.id).start_endpoint()
        assert Expiry.UNKNOWN is next(west.endpoints()).info.expiry
        assert Expiry.SCHEDULED is endpoint.expiry, "read again when it is asked for"

    def test_what_carries_no_stage_is_never_deleted_automatically(self, llama, west):
        bedrock = boto3.client("bedrock", "us-west-2")
        arn = bedrock.create_provisioned_model_throughput(
            provisionedModelName="theirs",
            modelId=llama.model,
            modelUnits=1,
            tags=[{"key": "tunestack:expires-at", "value": "2026-11-02T00:00:00Z"}],
        )["provisionedModelArn"]
        assert Expiry.NEVER is west.endpoint(arn).expiry
        assert west.endpoint(arn).extend(HOUR) is None


class TestCli:
    def test_list_and_show_have_the_end(self, started, cli):
        end = utc_text(started.expires_at)
        _, out, _ = cli("endpoint", "list", "--region", "us-west-2")
        assert "EXPIRES_AT" in out
        assert end in out
        code, out, _ = cli("endpoint", "show", started.name, "--region", "us-west-2")
        assert (code, f"expires_at   {end}" in out) == (0, True)
        _, out, _ = cli("endpoint", "show", started.id, "--json")
        shown = json.loads(out)
        assert started.expires_at.isoformat() == shown["expires_at"]
        assert ("scheduled", started.id) == (shown["expiry"], shown["id"])

    def test_no_end_is_never_and_one_that_may_not_be_read_is_unknown(self, job, cli, broken):
        name = job.start_endpoint().name
        assert " never " in cli("endpoint", "list")[1]
        broken("ListTagsForResource", "AccessDeniedException")
        assert "expires_at   unknown\n" in cli("endpoint", "show", name)[1]
        broken("ListTagsForResource", "AccessDeniedException")
        (row,) = map(json.loads, cli("endpoint", "list", "--json")[1].splitlines())
        assert (row["expiry"], row["expires_at"]) == ("unknown", None)
        code, _, err = cli("endpoint", "extend", name, "--ttl", "1h")
        assert (code, "has no expiry: nothing was changed" in err) == (0, True)
        job.stop_endpoint()

    def test_extend_prints_the_old_and_the_new_end(self, started, cli):
        old = started.expires_at
        code, out, err = cli("endpoint", "extend", started.id, "--ttl", "8h", "--json")
        shown = json.loads(out)
        assert (0, old.isoformat()) == (code, shown["previous_expires_at"])
        new = datetime.fromisoformat(shown["expires_at"])
        assert old < new
        assert f"expires at {utc_text(new)} (before: {utc_text(old)})" in err
        code, out, err = cli("endpoint", "extend", started.id, "--ttl", "1h")
        assert (code, f"already expires later, at {utc_text(new)}" in err) == (0, True)
        assert "1 hour from now" in err
        code, _, err = cli("endpoint", "extend", started.id, "--ttl", "2d")
        assert (code, "invalid ttl of 2 days" in err) == (2, True)
