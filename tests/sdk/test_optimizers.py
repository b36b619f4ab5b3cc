"""DSPy's optimizers, whole, on the sandbox: Bedrock and OpenAI, DSPy's own classes and the mended ones."""

import dspy
import pytest

from tests.sdk.desks import LLAMA, QUIET, TEST, TRAIN, accuracy, left, program, right, tickets
from tunestack.dspy import (
    BedrockProvider,
    BetterTogether,
    BootstrapFinetune,
    stop,
)
from tunestack.errors import JobError

pytestmark = QUIET


@pytest.mark.parametrize("kind", [dspy.BootstrapFinetune, BootstrapFinetune])
def test_bootstrap_finetune(kind, configured, tuner, vendor, figure):
    student = program(configured)
    before = accuracy(student, TEST)
    tuned = kind(metric=right).compile(student, trainset=TRAIN)
    after = accuracy(tuned, TEST)
    stop(tuned)
    figure(
        f"{vendor}, {kind.__module__.partition('.')[0]}.BootstrapFinetune: {before} % -> {after} %"
    )
    assert before < 60
    assert after > 80
    assert [] == left(tuner)


@pytest.mark.parametrize(
    "strategy",
    [
        "w -> p",
        "w -> w",
        pytest.param("p -> w", marks=pytest.mark.campaign),
        pytest.param("p -> w -> p", marks=pytest.mark.campaign),
    ],
)
def test_better_together(strategy, configured, tuner, vendor, figure):
    student = program(configured)
    before = accuracy(student, TEST)
    optimizer = BetterTogether(
        metric=right,
        raises=True,
        p=dspy.BootstrapFewShot(metric=right, max_bootstrapped_demos=2, max_labeled_demos=16),
        w=BootstrapFinetune(metric=right),
    )
    best = optimizer.compile(
        student, trainset=TRAIN[:60], valset=TRAIN[60:], strategy=strategy, seed=0
    )
    after = accuracy(best, TEST)
    stop(best)
    for candidate in best.candidate_programs:
        stop(candidate["program"])
    figure(f"{vendor}, BetterTogether {strategy}: {before} % -> {after} %")
    assert before < after
    assert not best.flag_compilation_error_occurred
    assert [] == left(tuner)


def test_throughput_is_started_and_stopped_by_better_together(west, figure):
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    student = program(lm)
    started = []
    launch = lm.provider.launch
    lm.provider.launch = lambda which, how=None: (launch(which, how), started.append(left(west)))
    optimizer = BetterTogether(
        metric=right, raises=True, w=BootstrapFinetune(metric=right, train_kwargs={"epochCount": 1})
    )
    more = tickets(0, 330)
    with dspy.context(lm=lm):
        best = optimizer.compile(student, trainset=more, valset=TEST, strategy="w -> w")
        assert [[], 1, 1] == [names and len(names) for names in started]
        assert [] == left(west), "none is left when compile returns"
        (tuned,) = {predictor.lm for predictor in best.predictors()}
        assert ":provisioned-model/" in tuned.model, "of the time before it was stopped"
        tuned.launch()
        assert 1 == len(left(west))
        assert accuracy(best, TEST) > 80
        tuned.kill()
        assert ":custom-model/" in tuned.model
        tuned.kill()
    assert [] == left(west)


def test_what_is_launched_is_stopped_however_it_ends(west):
    """DSPy's own leaves it running after Ctrl-C, and after an error in an evaluation."""
    lm = dspy.LM(LLAMA, provider=BedrockProvider(west), cache=False)
    asked = []

    def interrupted(example, prediction, trace=None):
        asked.append(left(west))
        if asked[-1]:
            raise KeyboardInterrupt
        return right(example, prediction)

    optimizer = BetterTogether(
        metric=interrupted, w=BootstrapFinetune(metric=right, train_kwargs={"epochCount": 1})
    )
    with dspy.context(lm=lm), pytest.raises(KeyboardInterrupt):
        optimizer.compile(
            program(lm), trainset=tickets(0, 400), valset=TEST, strategy="w", num_threads=1
        )
    assert asked[-1], "it was there"
    assert [] == left(west)


def test_a_step_that_fails_can_be_had_as_an_error(configured):
    """Upstream: a flag on the result, which is easily missed."""
    optimizer = BetterTogether(
        metric=right,
        raises=True,
        w=BootstrapFinetune(metric=right, train_kwargs={"max_cost": 1e-9}),
    )
    with pytest.raises(JobError, match="a step of BetterTogether failed"):
        optimizer.compile(program(configured), trainset=TRAIN[:30], valset=TEST[:3], strategy="w")
