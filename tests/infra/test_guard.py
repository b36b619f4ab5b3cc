"""The code of the guard, run in the test against the sandbox's Bedrock: expired endpoints are deleted, others are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.infra.guard_account import SETTINGS, GuardAccount, build_tags
from tests.infra.guard_history import run_histories
from tunestack.deployment import EXPIRES_AT_TAG
from tunestack_cdk.constructs import endpoint_guard_handler as handler
from tunestack_cdk.constructs.endpoint_guard_handler import KINDS, compute_expiry

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROVISIONED = KINDS["provisioned"]


@pytest.mark.parametrize(
    ("kind", "tag", "hours"),
    [
        ("provisioned", "2026-11-22T14:00:00Z", 2),
        ("provisioned", "2026-11-22T14:00:00", 2),
        ("provisioned", "2026-11-22T15:00:00+01:00", 2),
        ("provisioned", None, 4),
        ("provisioned", "soon", 4),
        ("provisioned", "", 4),
        ("provisioned", "9999-12-31T23:59:59Z", 24),
        ("provisioned", "0001-01-01T00:00:00+23:59", None),
        ("on-demand", "2026-11-22T14:00:00Z", 2),
        ("on-demand", None, None),
        ("on-demand", "soon", None),
    ],
)
def test_expiry_follows_from_tag_default_and_maximum(kind, tag, hours):
    tags = {} if tag is None else {EXPIRES_AT_TAG: tag}
    expires_at = compute_expiry(KINDS[kind], tags, NOW, SETTINGS)
    if hours is None:
        assert expires_at is None or expires_at < NOW
    else:
        assert expires_at == NOW + timedelta(hours=hours)


@pytest.fixture(scope="module")
def account(count_traffic):
    with GuardAccount() as account:
        yield account
    count_traffic(account.sandbox.traffic)


def test_expired_endpoints_are_deleted_despite_invalid_tags_and_errors(account):
    expired = [account.create_endpoint(build_tags(account, 1)) for _ in range(3)]
    invalid = account.create_endpoint(build_tags(account, text="not a time"))
    no_expiry = account.create_endpoint(build_tags(account))
    far_expiry = account.create_endpoint(build_tags(account, text="9999-12-31T00:00:00Z"))
    other_stage = account.create_endpoint(build_tags(account, 1, stage="prod"))
    untagged = account.create_endpoint({})
    unexpired = account.create_endpoint(build_tags(account, 20))
    account.clock.advance(timedelta(hours=2))
    account.sandbox.faults.add("error", operation="ListTagsForResource", times=1)
    counts = account.sweep()
    assert (counts["ended"], counts["failed"], counts["foreign"]) == (2, 1, 1)
    # The next sweep deletes the endpoint whose tags could not be read.
    assert account.sweep()["ended"] == 1
    assert account.list_names().isdisjoint(expired)
    account.clock.advance(timedelta(hours=3))
    assert account.sweep()["ended"] == 2
    assert account.list_names() == {far_expiry, other_stage, untagged, unexpired}
    assert account.list_names().isdisjoint({invalid, no_expiry})
    account.clock.advance(timedelta(hours=20))
    assert account.sweep()["ended"] == 2
    assert account.list_names() == {other_stage, untagged}
    account.delete_all()


def test_sweep_reads_all_pages(account):
    for _ in range(119):
        account.create_endpoint(build_tags(account, 20))
    expired = account.create_endpoint(build_tags(account, 1))
    account.clock.advance(timedelta(hours=2))
    counts = account.sweep()
    assert (counts["ended"], counts["kept"], counts["unseen"]) == (1, 119, 0)
    assert expired not in account.list_names()
    account.clock.advance(timedelta(hours=20))
    assert account.sweep()["ended"] == 119
    assert account.list_names() == set()


def test_sweep_without_time_left_processes_the_oldest_and_counts_the_rest(account):
    oldest = account.create_endpoint(build_tags(account, 1))
    account.clock.advance(timedelta(minutes=5))
    newest = account.create_endpoint(build_tags(account, 1))
    account.clock.advance(timedelta(hours=2))
    remaining = iter([10**6, 1000])
    counts = account.guard.sweep(lambda: next(remaining))
    assert (counts["ended"], counts["unseen"]) == (1, 1)
    assert account.list_names() == {newest}
    assert oldest not in account.list_names()
    account.sweep()


def test_endpoint_with_a_commitment_is_kept_until_its_term_is_over(account):
    name = account.create_endpoint(build_tags(account, 1), commitmentDuration="OneMonth")
    account.clock.advance(timedelta(days=20))
    assert account.sweep()["kept"] == 1
    account.clock.advance(timedelta(days=12))
    assert account.sweep()["ended"] == 1
    assert name not in account.list_names()


def test_expired_endpoint_is_deleted_after_its_creation_has_finished(account):
    name = account.create_endpoint(build_tags(account, 0))
    account.clock.advance(timedelta(minutes=1))
    assert account.sweep()["waiting"] == 1
    assert account.guard.check_endpoint(PROVISIONED, name) == "waiting"
    account.clock.advance(timedelta(hours=1))
    assert account.guard.check_endpoint(PROVISIONED, name) == "ended"
    assert account.guard.check_endpoint(PROVISIONED, name) == "not_found"


def test_endpoint_that_stays_busy_for_an_hour_is_reported_as_failed(account):
    """For a deployment that is being created, Bedrock returns ValidationException instead of ConflictException."""
    name = account.create_endpoint(build_tags(account, 1))
    account.clock.advance(timedelta(hours=1, minutes=1))
    for code, minutes, outcome in (
        ("ConflictException", 0, "waiting"),
        ("ValidationException", 30, "waiting"),
        ("ConflictException", 40, "failed"),
    ):
        account.clock.advance(timedelta(minutes=minutes))
        account.sandbox.faults.add(
            "error", operation="DeleteProvisionedModelThroughput", code=code, times=2
        )
        assert account.guard.check_endpoint(PROVISIONED, name) == outcome
        assert account.sweep()[outcome] == 1
    assert account.guard.check_endpoint(PROVISIONED, name) == "ended"


def test_error_while_listing_endpoints_is_raised(account):
    """The function fails, so the alarm NoSweep goes off."""
    account.sandbox.faults.add("error", operation="ListProvisionedModelThroughputs")
    with pytest.raises(ClientError):
        account.sweep()
    account.sandbox.faults.clear()


def test_no_endpoint_outlives_its_limit(account):
    run_histories(account, range(30))


@pytest.mark.campaign
def test_no_endpoint_outlives_its_limit_in_two_thousand_histories(account):
    run_histories(account, range(1000, 3000))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("compute_expiry", lambda *_: None),
        ("compute_expiry", lambda _, __, created_at, ___: created_at + timedelta(hours=48)),
        ("_get_time", lambda _: datetime.now(UTC)),
    ],
    ids=["no expiry", "no maximum", "clock of the function"],
)
def test_histories_find_a_wrong_guard(account, monkeypatch, name, wrong):
    monkeypatch.setattr(handler, name, wrong)
    with pytest.raises(AssertionError, match="after its limit|before its expiry"):
        run_histories(account, range(60))
    monkeypatch.undo()
    account.delete_all()
