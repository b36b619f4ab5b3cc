"""A program that classifies tickets, generated tickets, and models to fine-tune."""

import itertools
from typing import Literal

import dspy
import pytest

NOVA = "bedrock/us.amazon.nova-micro-v1:0"
LLAMA = "bedrock/us.meta.llama3-1-8b-instruct-v1:0"
GPT = "openai/gpt-4o-mini-2024-07-18"

IGNORED_WARNINGS = [
    # From litellm and openai: deprecations in their dependencies, and sockets that are not closed explicitly.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning"),
]
"""Warnings that are ignored in tests that invoke models."""

WORDS = {
    "billing": (
        *("invoice", "charged", "refund", "card", "payment", "price"),
        *("discount", "receipt", "tax", "subscription"),
    ),
    "shipping": (
        *("parcel", "courier", "tracking", "delivery", "address", "customs"),
        *("package", "driver", "depot", "arrived"),
    ),
    "returns": (
        *("broken", "wrong", "size", "exchange", "label", "defect"),
        *("scratched", "missing", "replace", "warranty"),
    ),
}


class Desk(dspy.Signature):
    """Choose the desk for a ticket."""

    ticket: str = dspy.InputField()
    desk: Literal["billing", "shipping", "returns"] = dspy.OutputField()


def tickets(start=0, count=90):
    """Return tickets with two words that identify the desk. Another range has other pairs of the same words."""
    pairs = {desk: list(itertools.permutations(words, 2)) for desk, words in WORDS.items()}
    examples = []
    for number in range(start, start + count):
        desk = list(WORDS)[number % len(WORDS)]
        one, other = pairs[desk][(number * 7) % len(pairs[desk])]
        text = f"Ticket {number}: about the {one}, and the {other}"
        examples.append(dspy.Example(ticket=text, desk=desk).with_inputs("ticket"))
    return examples


def is_correct(example, prediction, trace=None):
    """Return whether the desk is correct."""
    return example.desk == getattr(prediction, "desk", None)


def accuracy(program, examples):
    """Return the percentage of tickets that a program classifies correctly."""
    evaluate = dspy.Evaluate(
        devset=examples, metric=is_correct, num_threads=2, display_progress=False
    )
    return evaluate(program).score


TRAIN, TEST = tickets(0, 90), tickets(90, 30)


def ticket_program(lm):
    """Return a program with one predictor and this LM."""
    program = dspy.Predict(Desk)
    program.set_lm(lm)
    return program


def endpoint_names(tuner):
    """Return the names of all endpoints of the account in the region."""
    return [endpoint.name for endpoint in tuner.endpoints()]
