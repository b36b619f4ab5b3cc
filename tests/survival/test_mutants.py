"""Mutants of the SDK: each one removes a protection against a second payment, and the histories must find it.

If two protections have the same effect, both are removed: for example unique names at Bedrock, the sweep, the schedule.
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
"""Number of random histories in which a mutant must be detected."""
SCHEDULE, SWEEP, STOP = ("schedule",), ("sweep",), ()


def accept_duplicate_names(patch):
    """Accept two resources with the same name at Bedrock."""
    new, create = bedrock_serving._add_endpoint, jobs._create_job

    def add_endpoint(region, table, **arguments):
        endpoint = new(region, {}, **arguments)
        table[endpoint.arn] = endpoint
        return endpoint

    def create_job(region, params):
        stem, attempt = params["jobName"].rsplit("-", 1)
        name = f"{stem}-x{len(region.jobs)}-{attempt}"
        return create(region, {**params, "jobName": name, "customModelName": name})

    patch.setattr(bedrock_serving, "_add_endpoint", add_endpoint)
    patch.setattr(jobs, "_create_job", create_job)


def use_random_tokens(patch):
    accept_duplicate_names(patch)
    patch.setattr("tunestack.backends.bedrock.wire._token", lambda *_: secrets.token_hex(32))


def use_random_job_names(patch):
    patch.setattr(submitting, "_digest", lambda *_: secrets.token_hex(8))


def use_random_endpoint_names(patch):
    name_of = serving.name_of

    def create_name(*arguments):
        stem = serving.OWN_PREFIX
        return f"{stem}{secrets.token_hex(2)}{name_of(*arguments).removeprefix(stem)}"

    patch.setattr(serving, "name_of", create_name)


def skip_schedule(patch):
    patch.setattr(ScheduledGuard, "arm", lambda *_, **__: None)


def arm_after_creation(patch):
    arm, create = ScheduledGuard.arm, serving._create
    delayed: list[Any] = []

    def create_and_arm(*arguments, **options):
        try:
            return create(*arguments, **options)
        finally:
            while delayed:
                guard, arm_arguments, arm_options = delayed.pop()
                arm(guard, *arm_arguments, **arm_options)

    patch.setattr(
        ScheduledGuard,
        "arm",
        lambda guard, *arguments, **options: delayed.append((guard, arguments, options)),
    )
    patch.setattr(serving, "_create", create_and_arm)


def omit_expiry_tag(patch):
    patch.setattr(serving, "EXPIRES_AT_TAG", "tunestack:other")


def use_local_clock(patch):
    patch.setattr(BedrockBackend, "now", lambda _: datetime.now(UTC) + timedelta(hours=1))


def skip_tag_when_extending(patch):
    patch.setattr(BedrockBackend, "tag_endpoint", lambda *_: None)


def ignore_limit_when_extending(patch):
    patch.setattr(ScheduledGuard, "longest", timedelta(days=10))


def retry_creation_without_check(patch):
    accept_duplicate_names(patch)

    def create_once(provider, request):
        new_request = replace(request, generation=secrets.token_hex(4))
        return serving._just_created(provider.create_endpoint(new_request), request)

    def create(provider, _, request, *__, poll):
        with suppress(ProviderError):
            return create_once(provider, request)
        return create_once(provider, request)

    patch.setattr(serving, "_create", create)


def retry_creation_after_one_check(patch):
    accept_duplicate_names(patch)

    def check_once(check, **_):
        with suppress(NotFoundError):
            return check()

    patch.setattr(serving, "wait_until_visible", check_once)


def create_endpoint_without_check(patch):
    """Create an endpoint again even if it exists."""
    accept_duplicate_names(patch)
    start = serving.start_endpoint

    def start_without_check(provider, *arguments, **options):
        endpoint = provider.endpoint

        def raise_not_found(name, serving_kind=None):
            if ":" not in name:
                raise NotFoundError("hidden")
            return endpoint(name, serving_kind)

        provider.endpoint = raise_not_found
        try:
            return start(provider, *arguments, **options)
        finally:
            provider.endpoint = endpoint

    patch.setattr("tunestack.jobs.job.start_endpoint", start_without_check)


def use_one_generation(patch):
    patch.setattr(serving, "_MAX_GENERATIONS", 1)


def ignore_errors_of_delete(patch):
    delete = BedrockBackend.delete_endpoint

    def delete_without_errors(provider, endpoint):
        with suppress(ProviderError):
            delete(provider, endpoint)
        raise NotFoundError("deleted")

    patch.setattr(BedrockBackend, "delete_endpoint", delete_without_errors)


def stop_without_waiting(patch):
    """Do not wait for endpoints that can't be deleted yet."""
    patch.setattr(endpoints, "_MAX_REFUSALS", 1)
    patch.setattr(endpoints, "STOP_TIMEOUT", 0.0)
    patch.setattr(Endpoint.stop, "__defaults__", (0.0,))
    patch.setattr(endpoints, "EndpointTimeoutError", lambda *_, **__: NotFoundError("deleted"))
    stop = Endpoint.stop

    def stop_without_errors(endpoint, *timeout):
        with suppress(NotFoundError):
            stop(endpoint, *timeout)

    patch.setattr(Endpoint, "stop", stop_without_errors)


def create_job_without_check(patch):
    patch.setattr(submitting, "_newest_alive", lambda _: None)


def ignore_earlier_attempts(patch):
    patch.setattr(submitting, "_attempt_of", lambda _: 0)


def return_stopped_jobs(patch):
    patch.setattr(submitting, "_ALIVE", {*submitting._ALIVE, JobState.STOPPED, JobState.STOPPING})


# Mutant, active layer, and whether the invariants check the outcome only instead of every request.
MUTANTS = [
    (use_random_tokens, STOP, False),
    (use_random_job_names, STOP, False),
    (use_random_endpoint_names, SCHEDULE, False),
    (skip_schedule, SCHEDULE, False),
    (skip_schedule, SCHEDULE, True),
    (arm_after_creation, SCHEDULE, False),
    (arm_after_creation, SCHEDULE, True),
    (omit_expiry_tag, SWEEP, False),
    (omit_expiry_tag, SWEEP, True),
    (use_local_clock, SWEEP, False),
    (skip_tag_when_extending, SWEEP, True),
    (ignore_limit_when_extending, SWEEP, False),
    (retry_creation_without_check, STOP, False),
    (retry_creation_after_one_check, STOP, False),
    (create_endpoint_without_check, STOP, False),
    (use_one_generation, STOP, False),
    (ignore_errors_of_delete, STOP, False),
    (stop_without_waiting, STOP, False),
    (create_job_without_check, STOP, False),
    (ignore_earlier_attempts, STOP, False),
    (return_stopped_jobs, STOP, False),
]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
@pytest.mark.parametrize("world", [False], ids=["answered"], indirect=True)
@pytest.mark.parametrize(
    ("mutant", "layers", "outcomes_only"),
    MUTANTS,
    ids=[
        f"{mutant.__name__}-{'-'.join(layers) or 'stop'}{'-outcomes' if outcomes else ''}"
        for mutant, layers, outcomes in MUTANTS
    ],
)
def test_mutant_is_detected(world, mutant, layers, outcomes_only, monkeypatch, figure):
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
