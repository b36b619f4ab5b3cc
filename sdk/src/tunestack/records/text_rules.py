"""Rules on what texts hold: words that fail a job, and the traces of what went wrong before.

A word is looked for by a rare character of its own: one scan of a text for `:` finds every `User:`, `Bot:` and
`Assistant:` at a sixth of what a search for each would take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tunestack.records.chat_templates import UNMISTAKABLE_WORDS
from tunestack.records.formats import SourceFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tunestack.records.conversation import Conversation
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

PROMPT, ANSWER = "prompt", "answer"
EVERYWHERE = (PROMPT, ANSWER)

COMPLETED = "[[ ## completed ## ]]"
"""What DSPy's ChatAdapter ends every answer with, and announces in its system prompt."""
DSPY = "In adhering to this structure, your objective is:"
"""What the system prompts of DSPy's adapters hold."""
INCOMPLETE = "though some input or output fields are not supplied."
"""What DSPy says of a demo that lacks fields."""
LONG = 200
"""Characters; shorter answers may well repeat, such as the labels of a classification in DSPy's form."""


@dataclass(frozen=True, slots=True)
class TextRule:
    """What a text must not hold."""

    rule: str
    gate: str
    """A character that every match has; where it isn't in the text, nothing is."""
    pattern: str
    message: str
    where: tuple[str, ...] = EVERYWHERE
    before: str = ""
    """The characters of which one stands before the gate in every match, where the gate is a colon."""
    word: str = ""
    """The word that it is about, if it is about one."""


def _words(
    rule: str, words: Iterable[str], message: str, where: tuple[str, ...], *, in_any_case: bool
) -> Iterator[TextRule]:
    """Make rules of words by a rare character of theirs: a colon at the end, or what they begin with."""
    for word in words:
        pattern = _any_case(word) if in_any_case else re.escape(word)
        if word.endswith(":"):
            letters = {word[-2].lower(), word[-2].upper()} if in_any_case else {word[-2]}
            found = f":(?<={pattern})"
            yield TextRule(rule, ":", found, message, where, "".join(letters), word)
        else:
            yield TextRule(rule, word[0], pattern, message, where, word=word)


def _any_case(word: str) -> str:
    # Not re.IGNORECASE: with it, the search has no first character to jump to, and takes five times as long.
    return "".join(
        f"[{char.lower()}{char.upper()}]" if char.isalpha() else re.escape(char) for char in word
    )


@cache
def rules_for(target: Target) -> tuple[TextRule, ...]:
    """List the rules on texts for a target, without those that were waived."""
    return tuple(rule for rule in _all(target) if rule.rule not in target.ignored)


def _all(target: Target) -> Iterator[TextRule]:
    reserved = target.model.limits.reserved_words
    # Nova's words fail a job in prompts, in whatever case; Claude's as they are written, in answers too.
    nova = target.format is SourceFormat.CONVERSE
    where = (PROMPT,) if nova else EVERYWHERE
    yield from _words("reserved-word", reserved, _RESERVED, where, in_any_case=nova)
    if nova and reserved:
        yield from _words("reserved-word-unsure", reserved, _UNSURE, (ANSWER,), in_any_case=True)
        more = ("Thought:", "<unk>")
        yield from _words("reserved-word-unsure", more, _UNSURE, EVERYWHERE, in_any_case=True)
    elif not target.form.templated:
        # Where a prompt is one text, several speakers may well be in it.
        speakers = ("\nAssistant:", "\nassistant:", "\nBot:", "\nAI:")
        yield from _words("transcript", speakers, _TRANSCRIPT, (PROMPT,), in_any_case=False)
    yield TextRule("type-marker", "<", "<<CUSTOM-TYPE-START-IDENTIFIER>>", _MARKER)
    shown = r"<(?:[A-Z]+_BASE_64_ENCODED\(|DATA_URI\(|[\w.]+(?:<locals>[\w.]+)* object at 0x)"
    yield TextRule("object-as-text", "<", shown, _OBJECT)
    yield TextRule(
        "data-as-text",
        ":",
        r":(?<=data:)[\w/.+;= -]{0,200};base64,",
        _DATA,
        before="a",
    )
    for gate, pattern in (
        ("{", r'\{(?<=\A\{)\s*"(?:tool_calls|function_call|toolUse|tool_use)"'),
        (
            "{",
            r'\{(?<=\A\{)\s*"name"\s*:\s*"[\w.-]+"\s*,\s*"(?:arguments|parameters|input)"\s*:',
        ),
        ("<", r"<tool_call[>=]"),
        ("<", r"<(?:function_call|function)[>=]"),
    ):
        yield TextRule("tool-call-as-text", gate, pattern, _CALL, (ANSWER,))
    none = r"\[\[ ## \w+ ## \]\]\nNone(?=\s*(?:\n\[\[|\Z))"
    yield TextRule("none-as-answer", "[", none, _NONE, (ANSWER,))
    pattern = r"<(\w{1,80})>\nNone\n</"
    yield TextRule("none-as-answer", "<", pattern, _NONE, (ANSWER,))


_RESERVED = "holds {found}, which this model keeps for itself and which fails the whole job: word it differently"
_UNSURE = (
    "holds {found}, which AWS's validators refuse: word it differently, or see if the job takes it"
)
_TRANSCRIPT = "is a transcript of several speakers: make each of them a message"
_MARKER = "holds DSPy's mark of a type that was not made a part of the message: the model would learn to write it"
_OBJECT = "holds the Python representation of an object: something became text on the way"
_DATA = "holds base64 as text: pass a file as a part of the message (an image as image_url)"
_CALL = "looks like a tool call that was written as text: pass calls as tool_calls"
_NONE = "answers None in a field of DSPy's, as it writes what was missing: leave the example out"


@cache
def search_patterns(target: Target, where: str) -> tuple[tuple[str, Callable[[str], object]], ...]:
    """Join the patterns of a target by their gates, for a quick look at a text: characters, and what then looks at it."""
    by_gate: dict[str, list[TextRule]] = {}
    for rule in _looked_for(target):
        if where in rule.where:
            by_gate.setdefault(rule.gate, []).append(rule)
    return tuple((gate, re.compile(_joined(gate, found)).search) for gate, found in by_gate.items())


def _looked_for(target: Target) -> list[TextRule]:
    """List the rules on texts, with those on what a template has between turns."""
    rules = list(rules_for(target))
    if target.template is not None:
        # Not every text of such a model is written with the template; those that are not are looked at for nothing.
        special = target.template.special
        rules += _words("special-token", special, "", EVERYWHERE, in_any_case=False)
    if target.source is SourceFormat.COMPLETION and not target.form.templated:
        # A prompt that was written with a template is to be taken apart.
        rules += _words("special-token", UNMISTAKABLE_WORDS, "", EVERYWHERE, in_any_case=False)
    return rules


def _joined(gate: str, rules: list[TextRule]) -> str:
    """Join patterns that all begin with their gate, and keep it in front: a search jumps to it."""
    rests = "|".join(rule.pattern.removeprefix(re.escape(gate)) for rule in rules)
    # Most colons are told from a word's by the letter before.
    letters = "".join(sorted({char for rule in rules for char in rule.before}))
    return f"{re.escape(gate)}{f'(?<=[{letters}]:)' if gate == ':' else ''}(?:{rests})"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def check_texts(texts: Iterable[tuple[str, str, str]], target: Target, findings: Findings) -> None:
    """Look at texts, given with their paths and whether they are a prompt or an answer."""
    for path, where, text in texts:
        if not any(
            gate in text and search(text) for gate, search in search_patterns(target, where)
        ):
            continue
        for rule in rules_for(target):
            if where in rule.where and _compiled(rule.pattern).search(text) is not None:
                findings.add(rule.rule, path, rule.message.format(found=repr(rule.word)))


def check_special(
    texts: Iterable[tuple[str, str, str]], special: Iterable[str], findings: Findings
) -> None:
    """Refuse texts that hold what a chat template puts between turns."""
    for path, _, text in texts:
        for word in special:
            if word in text:
                findings.add(
                    "special-token",
                    path,
                    f"holds {word!r}, which this model's chat template has between turns",
                )
                break


def check_dspy(conversation: Conversation, findings: Findings) -> None:
    """Look for what DSPy leaves in records when something was missing or failed."""
    said = [
        (turn, "\n".join(getattr(block, "text", "") for block in turn.blocks))
        for turn in conversation.turns
    ]
    answers = [text for turn, text in said if turn.role == "assistant"]
    last = next((turn.at for turn, _ in reversed(said) if turn.role == "assistant"), "$")
    if answers and len(answers[-1]) > LONG and answers[-1] in answers[:-1]:
        findings.add(
            "answer-in-prompt",
            last,
            "is there before, word for word: the model learns to copy what it is shown",
        )
    system = "".join(text for turn, text in said if turn.role == "system")
    for turn, text in said:
        if turn.role == "assistant" and COMPLETED in system and _is_unfinished(text):
            findings.add(
                "unfinished-answer",
                turn.at,
                f"does not end with {COMPLETED}, as its system prompt demands: was it cut off?",
            )
        if turn.role == "user" and DSPY in system and INCOMPLETE in text:
            findings.add(
                "incomplete-demo",
                turn.at,
                "is a demo that lacks fields, which DSPy says in it: complete it, or leave it out",
            )


def _is_unfinished(answer: str) -> bool:
    return bool(answer) and not answer.rstrip().endswith(COMPLETED)


def may_break_dspy_rule(texts: list[str], *, has_system: bool) -> bool:
    """Return whether `check_dspy` may report something about alternating texts."""
    answers = texts[has_system + 1 :: 2]
    if len(answers) > 1 and len(answers[-1]) > LONG and answers[-1] in answers[:-1]:
        return True
    if not has_system:
        return False
    system = texts[0]
    if COMPLETED in system and any(map(_is_unfinished, answers)):
        return True
    return DSPY in system and any(INCOMPLETE in text for text in texts[1::2])
