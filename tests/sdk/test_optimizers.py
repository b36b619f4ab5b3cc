"""DSPy's optimizers end to end in the sandbox: Bedrock and OpenAI, DSPy's own classes and those of `tunestack.dspy`."""

import dspy
import pytest

from tests.parameters import every
from tests.sdk.desks import (
    IGNORED_WARNINGS,
    LLAMA,
    TEST,
    TRAIN,
    accuracy,
    endpoint_names,
    is_correct,
    ticket_program,
    tickets,
)
from tunestack.dspy import (
    BedrockProvider,
    BetterTogether,
    BootstrapFinetune,
    stop,
)
from tunestack.errors import JobError

pytestmark = IGNORED_WARNINGS


@pytest.mark.parametrize("kind", every(2, [BootstrapFinetune, dspy.BootstrapFinetune]))
def test_bootstrap_finetune(kind, configured, tuner, provider, figure):
    student = ticket_program(configured)
    before = accuracy(student, TEST)
    fine_tuned = kind(metric=is_correct).compile(student, trainset=TRAIN)
    after = accuracy(fine_tuned, TEST)
    stop(fine_tuned)
    figure(
        f"{provider}, {kind.__module__.partition('.')[0]}.BootstrapFinetune: {before} % -> {after} %"
    )
    assert before < 60
    assert after > 80
    assert endpoint_names(tuner) == []


@pytest.mark.parametrize(
    ("provider", "strategy"),
    [
        ("bedrock", "w -> p"),
        pytest.param("bedrock", "w -> w", marks=pytest.mark.campaign),
        pytest.param("openai", "w -> p", marks=pytest.mark.campaign),
        pytest.param("openai", "w -> w", marks=pytest.mark.campaign),
        pytest.param("bedrock", "p -> w", marks=pytest.mark.campaign),
        pytest.param("openai", "p -> w", marks=pytest.mark.campaign),
        pytest.param("bedrock", "p -> w -> p", marks=pytest.mark.campaign),
        pytest.param("openai", "p -> w -> p", marks=pytest.mark.campaign),
    ],
    indirect=["provider"],
)
def test_better_together(strategy, configured, tuner, provider, figure):
    student = ticket_program(configured)
    before = accuracy(student, TEST)
    optimizer = BetterTogether(
        metric=is_correct,
        raises=True,
        p=dspy.BootstrapFewShot(metric=is_correct, max_bootstrapped_demos=2, max_labeled_demos=16),
        w=BootstrapFinetune(metric=is_correct),
    )
    best = optimizer.compile(
        student, trainset=TRAIN[:60], valset=TRAIN[60:], strategy=strategy, seed=0
    )
    after = accuracy(best, TEST)
    stop(best)
    for candidate in best.candidate_programs:
        stop(candidate["program"])
    figure(f"{provider}, BetterTogether {strategy}: {before} % -> {after} %")
    assert before < after
    assert not best.flag_compilation_error_occurred
    assert endpoint_names(tuner) == []


@pytest.mark.campaign
def test_better_together_starts_and_stops_provisioned_throughput(west, figure):
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    student = ticket_program(lm)
    started = []
    launch = lm.provider.launch

    def launch_and_record(which, how=None):
        launch(which, how)
        started.append(endpoint_names(west))

    lm.provider.launch = launch_and_record
    optimizer = BetterTogether(
        metric=is_correct,
        raises=True,
        w=BootstrapFinetune(metric=is_correct, train_kwargs={"epochCount": 1}),
    )
    more = tickets(0, 330)
    with dspy.context(lm=lm):
        best = optimizer.compile(student, trainset=more, valset=TEST, strategy="w -> w")
        assert [names and len(names) for names in started] == [[], 1, 1]
        assert endpoint_names(west) == [], "compile stops all endpoints"
        (fine_tuned,) = {predictor.lm for predictor in best.predictors()}
        assert ":provisioned-model/" in fine_tuned.model, "the route of the stopped endpoint"
        fine_tuned.launch()
        assert len(endpoint_names(west)) == 1
        assert accuracy(best, TEST) > 80
        fine_tuned.kill()
        assert ":custom-model/" in fine_tuned.model
        fine_tuned.kill()
    assert endpoint_names(west) == []


@pytest.mark.campaign
def test_launched_endpoints_are_stopped_after_ctrl_c(west):
    """DSPy's own class leaves them running after Ctrl-C, and after an error in an evaluation."""
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    running = []

    def interrupt(example, prediction, trace=None):
        running.append(endpoint_names(west))
        if running[-1]:
            raise KeyboardInterrupt
        return is_correct(example, prediction)

    optimizer = BetterTogether(
        metric=interrupt, w=BootstrapFinetune(metric=is_correct, train_kwargs={"epochCount": 1})
    )
    with dspy.context(lm=lm), pytest.raises(KeyboardInterrupt):
        optimizer.compile(
            ticket_program(lm), trainset=tickets(0, 400), valset=TEST, strategy="w", num_threads=1
        )
    assert running[-1], "the endpoint was running"
    assert endpoint_names(west) == []


def test_raises_turns_a_failed_step_into_an_error(configured):
    """DSPy only sets a flag on the result."""
    optimizer = BetterTogether(
        metric=is_correct,
        raises=True,
        w=BootstrapFinetune(metric=is_correct, train_kwargs={"max_cost": 1e-9}),
    )
    with pytest.raises(JobError, match="a step of BetterTogether failed"):
        optimizer.compile(
            ticket_program(configured), trainset=TRAIN[:30], valset=TEST[:3], strategy="w"
        )
