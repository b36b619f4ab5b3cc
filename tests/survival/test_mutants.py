"""Mutants of the SDK: each removes one protection against paying twice, and the histories must find it.

A protection that another one duplicates is removed together with it: unique names at Bedrock, the sweep, the schedule.
"""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase

from tests.survival.test_histories import DIRECTED_HISTORIES, run_histories
from tunestack.backends.base import JobState
from tunestack.backends.bedrock.backend import BedrockBackend
from tunestack.backends.bedrock.guard import ScheduledGuard
from tunestack.endpoints import endpoint as endpoints
from tunestack.endpoints import start as serving
from tunestack.endpoints.endpoint import Endpoint
from tunestack.errors import NotFoundError, ProviderError
from tunestack.jobs import submit as submitting
from tunestack_sandbox.bedrock import jobs
from tunestack_sandbox.bedrock import serving as bedrock_serving

MAX_HISTORIES = 150
"""Number of random histories in which a mutant must be found."""
SCHEDULE, SWEEP, STOP = ("schedule",), ("sweep",), ()


def names_are_not_unique(patch):
    """Let Bedrock accept two resources with the same name."""
    new, create = bedrock_serving._add_endpoint, jobs._create_job

    def new_of_any_name(region, table, **what):
        endpoint = new(region, {}, **what)
        table[endpoint.arn] = endpoint
        return endpoint

    def create_of_any_name(region, params):
        stem, attempt = params["jobName"].rsplit("-", 1)
        name = f"{stem}-x{len(region.jobs)}-{attempt}"
        return create(region, {**params, "jobName": name, "customModelName": name})

    patch.setattr(bedrock_serving, "_add_endpoint", new_of_any_name)
    patch.setattr(jobs, "_create_job", create_of_any_name)


def random_token(patch):
    names_are_not_unique(patch)
    patch.setattr("tunestack.backends.bedrock.wire._token", lambda *_: secrets.token_hex(32))


def random_job_name(patch):
    patch.setattr(submitting, "_digest", lambda *_: secrets.token_hex(8))


def random_endpoint_name(patch):
    name_of = serving.name_of

    def name_anew(*what):
        stem = serving._PREFIX
        return f"{stem}{secrets.token_hex(2)}{name_of(*what).removeprefix(stem)}"

    patch.setattr(serving, "name_of", name_anew)


def never_armed(patch):
    patch.setattr(ScheduledGuard, "arm", lambda *_, **__: None)


def armed_after_it_is_made(patch):
    arm, create = ScheduledGuard.arm, serving._create
    late: list[Any] = []

    def created(*what, **more):
        try:
            return create(*what, **more)
        finally:
            while late:
                guard, asked, said = late.pop()
                arm(guard, *asked, **said)

    patch.setattr(
        ScheduledGuard, "arm", lambda guard, *asked, **said: late.append((guard, asked, said))
    )
    patch.setattr(serving, "_create", created)


def no_end_in_the_tags(patch):
    patch.setattr(serving, "EXPIRES_AT_TAG", "tunestack:remark")


def an_end_by_this_machines_clock(patch):
    patch.setattr(BedrockBackend, "now", lambda _: datetime.now(UTC) + timedelta(hours=1))


def extended_in_the_schedule_only(patch):
    patch.setattr(BedrockBackend, "tag_endpoint", lambda *_: None)


def extended_beyond_the_limit(patch):
    patch.setattr(ScheduledGuard, "longest", timedelta(days=10))


def created_again_without_a_look(patch):
    names_are_not_unique(patch)

    def made(provider, request):
        asked = replace(request, generation=secrets.token_hex(4))
        return serving._just_created(provider.create_endpoint(asked), request)

    def create(provider, _, request, *__, poll):
        with suppress(ProviderError):
            return made(provider, request)
        return made(provider, request)

    patch.setattr(serving, "_create", create)


def created_again_if_not_seen_at_once(patch):
    names_are_not_unique(patch)

    def look_once(look, **_):
        with suppress(NotFoundError):
            return look()

    patch.setattr(serving, "wait_until_visible", look_once)


def no_look_before_an_endpoint(patch):
    """Create an endpoint again even if it exists."""
    names_are_not_unique(patch)
    start = serving.start_endpoint

    def started(provider, *what, **more):
        endpoint = provider.endpoint

        def unseen(name, way=None):
            if ":" not in name:
                raise NotFoundError("not looked for")
            return endpoint(name, way)

        provider.endpoint = unseen
        try:
            return start(provider, *what, **more)
        finally:
            provider.endpoint = endpoint

    patch.setattr("tunestack.jobs.job.start_endpoint", started)


def one_generation(patch):
    patch.setattr(serving, "_MAX_GENERATIONS", 1)


def gone_whatever_delete_says(patch):
    delete = BedrockBackend.delete_endpoint

    def deleted(provider, endpoint):
        with suppress(ProviderError):
            delete(provider, endpoint)
        raise NotFoundError("gone")

    patch.setattr(BedrockBackend, "delete_endpoint", deleted)


def what_is_starting_is_left(patch):
    """A stop that does not wait for what can't be deleted yet."""
    patch.setattr(endpoints, "_MAX_REFUSALS", 1)
    patch.setattr(endpoints, "STOP_TIMEOUT", 0.0)
    patch.setattr(Endpoint.stop, "__defaults__", (0.0,))
    patch.setattr(endpoints, "EndpointTimeoutError", lambda *_, **__: NotFoundError("gone"))
    stop = Endpoint.stop

    def stopped(endpoint, *timeout):
        with suppress(NotFoundError):
            stop(endpoint, *timeout)

    patch.setattr(Endpoint, "stop", stopped)


def no_look_before_a_job(patch):
    patch.setattr(submitting, "_newest_alive", lambda _: None)


def attempts_not_counted(patch):
    patch.setattr(submitting, "_attempt_of", lambda _: 0)


def what_was_stopped_counts_as_there(patch):
    patch.setattr(submitting, "_ALIVE", {*submitting._ALIVE, JobState.STOPPED, JobState.STOPPING})


# Mutant, active layer, and whether the invariants check the outcome only instead of every request.
MUTANTS = [
    (random_token, STOP, False),
    (random_job_name, STOP, False),
    (random_endpoint_name, SCHEDULE, False),
    (never_armed, SCHEDULE, False),
    (never_armed, SCHEDULE, True),
    (armed_after_it_is_made, SCHEDULE, False),
    (armed_after_it_is_made, SCHEDULE, True),
    (no_end_in_the_tags, SWEEP, False),
    (no_end_in_the_tags, SWEEP, True),
    (an_end_by_this_machines_clock, SWEEP, False),
    (extended_in_the_schedule_only, SWEEP, True),
    (extended_beyond_the_limit, SWEEP, False),
    (created_again_without_a_look, STOP, False),
    (created_again_if_not_seen_at_once, STOP, False),
    (no_look_before_an_endpoint, STOP, False),
    (one_generation, STOP, False),
    (gone_whatever_delete_says, STOP, False),
    (what_is_starting_is_left, STOP, False),
    (no_look_before_a_job, STOP, False),
    (attempts_not_counted, STOP, False),
    (what_was_stopped_counts_as_there, STOP, False),
]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("world", [False], ids=["answered"], indirect=True)
@pytest.mark.parametrize(
    ("mutant", "layers", "outcomes_only"),
    MUTANTS,
    ids=[
        f"{mutant.__name__}-{'-'.join(layers) or 'stop'}{'-outcomes' if blind else ''}"
        for mutant, layers, blind in MUTANTS
    ],
)
def test_mutant_is_found(world, mutant, layers, outcomes_only, monkeypatch, figure):
    mutant(monkeypatch)
    monkeypatch.setattr(world, "outcomes_only", outcomes_only)
    for name, steps in DIRECTED_HISTORIES.items():
        world.reset(layers)
        try:
            world.run(steps)
        except AssertionError as error:
            figure(f"{mutant.__name__} {layers}: found by {name!r}: {error}")
            return
    number, failure = run_histories(
        world, layers, number=MAX_HISTORIES, length=30, phases=[Phase.generate]
    )
    assert failure is not None, f"not found in {number} histories"
    figure(f"{mutant.__name__} {layers}: found in history {number}: {failure}")
