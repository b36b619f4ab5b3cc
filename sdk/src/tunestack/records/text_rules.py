"""Rules on the content of texts: strings that fail a job, and traces of faults in the program that wrote the data.

A pattern is searched by a rare character that every match contains, its anchor: one scan of a text for `:` covers
`User:`, `Bot:` and `Assistant:`, and takes a sixth of the time of a search for each.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import RecordFormat
from tunestack.records.chat_templates import DISTINCTIVE_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tunestack.records.conversation import Conversation
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

PROMPT, ANSWER = "prompt", "answer"
_ALL_TEXTS = (PROMPT, ANSWER)

COMPLETED = "[[ ## completed ## ]]"
"""The end of every answer in the format of DSPy's ChatAdapter, which its system prompt announces."""
DSPY = "In adhering to this structure, your objective is:"
"""A sentence in the system prompts of DSPy's adapters."""
INCOMPLETE = "though some input or output fields are not supplied."
"""A sentence that DSPy adds to a demo with missing fields."""
_LONG_ANSWER = 200
"""Characters. Shorter answers repeat in valid data, such as the labels of a classification in DSPy's format."""


class TextRule(msgspec.Struct, frozen=True):
    """A string that a text must not contain."""

    rule: str
    anchor: str
    """A character that every match contains."""
    pattern: str
    """A regular expression that starts at the anchor."""
    message: str
    texts: tuple[str, ...] = _ALL_TEXTS
    """The texts that are checked: prompts, answers or both."""
    preceding: str = ""
    """The text before the anchor, if the anchor is a colon."""
    word: str = ""
    """The word in the message."""
    any_case: str = ""
    """A pattern for the word in any case, if `pattern` leaves out the spellings that other rules have."""
    is_at_start: bool = False
    """Whether the anchor must be the first character of the text."""


class Search(msgspec.Struct, frozen=True):
    """A search for the patterns of all rules with the same anchor."""

    anchor: str
    is_at_start: bool
    is_at_end: bool
    """Whether a match can depend on the end of the text."""
    find: Callable[[str], object]

    def finds_any(self, texts: Sequence[str], joined: str) -> bool:
        """Return whether one of the texts contains a match; `joined` has all of them."""
        anchor = self.anchor
        if anchor not in joined:
            return False
        if self.is_at_start:
            return any(map(self.find, [text for text in texts if text[:1] == anchor]))
        # One search takes less time than one for each text.
        if not self.is_at_end and not self.find(joined):
            return False
        return any(map(self.find, [text for text in texts if anchor in text]))


def _word_rules(
    rule: str, words: Iterable[str], message: str, texts: tuple[str, ...], *, ignore_case: bool
) -> Iterator[TextRule]:
    """Create rules for words; the anchor is a colon at the end, or the first character."""
    for word in words:
        pattern = _case_insensitive(word) if ignore_case else re.escape(word)
        if word.endswith(":"):
            pattern = f":(?<={pattern})"
            yield TextRule(rule, ":", pattern, message, texts, word[:-1], word)
        else:
            yield TextRule(rule, word[0], pattern, message, texts, word=word)


def _case_insensitive(word: str) -> str:
    # Not re.IGNORECASE: it would disable the search for the first character, and take five times as long.
    return "".join(
        f"[{char.lower()}{char.upper()}]" if char.isalpha() else re.escape(char) for char in word
    )


@cache
def _rules_for(target: Target) -> tuple[TextRule, ...]:
    """Return the rules on texts for a target, without ignored rules."""
    return tuple(rule for rule in _all_rules(target) if rule.rule not in target.ignored)


def _all_rules(target: Target) -> Iterator[TextRule]:
    yield from _reserved_word_rules(target)
    yield TextRule("type-marker", "<", "<<CUSTOM-TYPE-START-IDENTIFIER>>", _MARKER)
    # Possessive quantifiers and alternatives that start with a character: without them, each < takes five times as long.
    for pattern in (
        r"<[A-Z]++_BASE_64_ENCODED\(",
        r"<DATA_URI\(",
        r"<[\w.]++(?: object at 0x|<locals>[\w.]++(?:<locals>[\w.]++)*+ object at 0x)",
    ):
        yield TextRule("object-as-text", "<", pattern, _OBJECT)
    pattern = r":(?<=data:)[\w/.+;= -]{0,200};base64,"
    yield TextRule("data-as-text", ":", pattern, _DATA, preceding="data")
    for pattern in (
        r'\A\{\s*"(?:tool_calls|function_call|toolUse|tool_use)"',
        r'\A\{\s*"name"\s*:\s*"[\w.-]+"\s*,\s*"(?:arguments|parameters|input)"\s*:',
    ):
        yield TextRule("tool-call-as-text", "{", pattern, _CALL, (ANSWER,), is_at_start=True)
    for pattern in ("<tool_call[>=]", "<function_call[>=]", "<function[>=]"):
        yield TextRule("tool-call-as-text", "<", pattern, _CALL, (ANSWER,))
    pattern = r"\[\[ ## \w+ ## \]\]\nNone(?=\s*(?:\n\[\[|\Z))"
    yield TextRule("none-as-answer", "[", pattern, _NONE, (ANSWER,))
    pattern = r"<\w{1,80}+>\nNone\n</"
    yield TextRule("none-as-answer", "<", pattern, _NONE, (ANSWER,))


def _reserved_word_rules(target: Target) -> Iterator[TextRule]:
    reserved = target.model.limits.reserved_words
    if target.format is RecordFormat.CONVERSE:
        if reserved:
            yield from _nova_word_rules(reserved)
            return
    else:
        # Claude's words fail a job in answers too, in this case only.
        yield from _word_rules("reserved-word", reserved, _RESERVED, _ALL_TEXTS, ignore_case=False)
    if not target.form.is_templated:
        # A format with one prompt has several speakers in one text.
        speakers = ("\nAssistant:", "\nassistant:", "\nBot:", "\nAI:")
        yield from _word_rules("transcript", speakers, _TRANSCRIPT, (PROMPT,), ignore_case=False)


def _nova_word_rules(words: tuple[str, ...]) -> Iterator[TextRule]:
    """Create the rules for Nova's words.

    The user guides say that a word in a prompt fails the job. AWS's newest validator searches for it as it is written there and
    in upper case, and an older one in any case; both search answers too.
    """
    rule, other_rule = "reserved-word", "reserved-word-unsure"
    for word in words:
        spellings = {word: None, word.upper(): None} if word.endswith(":") else {word: None}
        yield from _word_rules(rule, spellings, _RESERVED, (PROMPT,), ignore_case=False)
        yield from _word_rules(other_rule, spellings, _IN_ANSWER, (ANSWER,), ignore_case=False)
        exact = "".join(f"(?<!{re.escape(spelling)})" for spelling in spellings)
        for other in _word_rules(other_rule, (word,), _OTHER_CASE, _ALL_TEXTS, ignore_case=True):
            yield msgspec.structs.replace(
                other, pattern=other.pattern + exact, any_case=other.pattern
            )
    yield from _word_rules(
        other_rule, ("Thought:", "<unk>"), _NEWEST, _ALL_TEXTS, ignore_case=False
    )


_RESERVED = "contains {word}, a reserved keyword of this model that fails the job: replace it"
_IN_ANSWER = "contains {word} in an answer, which AWS's validators reject; its user guides forbid it in prompts only: replace it"
_OTHER_CASE = "contains {word} in another case, which AWS's validator in amazon-nova-samples rejects, and amzn-nova-forge accepts: replace it"
_NEWEST = "contains {word}, which AWS's validator amzn-nova-forge rejects, and its user guides do not mention: replace it"
_TRANSCRIPT = "is a transcript of several speakers: write a message for each of them"
_MARKER = "contains DSPy's marker of a type that was not converted to a part of the message: the model would learn the marker"
_OBJECT = "contains the Python representation of an object, which was converted to text by mistake"
_DATA = "contains a base64 file as text: pass it as a part of the message (an image as image_url)"
_CALL = "appears to be a tool call written as text: pass tool calls in tool_calls"
_NONE = "has the answer None in a DSPy field, which means that the value was missing: remove the example"


@cache
def create_searches(target: Target) -> tuple[Search, ...]:
    """Return the searches for the patterns of a target's rules."""
    by_anchor: dict[tuple[str, bool], list[TextRule]] = {}
    for rule in _merge_cases(_fast_path_rules(target)):
        by_anchor.setdefault((rule.anchor, rule.is_at_start), []).append(rule)
    return tuple(
        Search(
            anchor,
            is_at_start,
            any(r"\Z" in rule.pattern for rule in rules),
            re.compile(_join_patterns(anchor, rules)).search,
        )
        for (anchor, is_at_start), rules in by_anchor.items()
    )


def _fast_path_rules(target: Target) -> list[TextRule]:
    """Return the rules on texts, and those on special tokens, which the slow path checks by itself."""
    rules = list(_rules_for(target))
    if target.template is not None:
        tokens = target.template.special_tokens
        rules += _word_rules("special-token", tokens, "", _ALL_TEXTS, ignore_case=False)
    if target.source is RecordFormat.COMPLETION:
        # A prompt that was written with a chat template is parsed into turns, or counted.
        rules += _word_rules("special-token", DISTINCTIVE_TOKENS, "", _ALL_TEXTS, ignore_case=False)
    return rules


def _merge_cases(rules: Iterable[TextRule]) -> list[TextRule]:
    """Replace the rules on the spellings of a word by one for any case, because each alternative of a pattern takes time."""
    rules = list(rules)
    merged = {
        rule.word.lower(): msgspec.structs.replace(rule, pattern=rule.any_case)
        for rule in rules
        if rule.any_case
    }
    others = [rule for rule in rules if rule.word.lower() not in merged]
    return [*merged.values(), *others]


def _join_patterns(anchor: str, rules: list[TextRule]) -> str:
    """Combine patterns that start with the same character, so that the search looks for the character first."""
    start = (r"\A" if rules[0].is_at_start else "") + re.escape(anchor)
    rests = "|".join(rule.pattern.removeprefix(start) for rule in rules)
    # The three characters before it, in any case, exclude most colons: alternatives take more time.
    characters = zip(*(rule.preceding[:-4:-1] for rule in rules), strict=False)
    preceding = "".join(map(_character_class, [*characters][::-1]))
    return f"{start}{f'(?<={preceding}:)' if preceding else ''}(?:{rests})"


def _character_class(characters: Iterable[str]) -> str:
    both = {case for char in characters for case in (char.lower(), char.upper())}
    return f"[{''.join(map(re.escape, sorted(both)))}]"


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def contains_match(texts: Sequence[str], searches: Iterable[Search]) -> bool:
    """Return whether one of the texts contains a match of a rule, even if the rule is for another kind of text."""
    joined = "\0".join(texts)
    return any(search.finds_any(texts, joined) for search in searches)


def check_texts(texts: Iterable[tuple[str, str, str]], target: Target, findings: Findings) -> None:
    """Check texts, each given with its path and its kind (`PROMPT` or `ANSWER`)."""
    searches = create_searches(target)
    for path, kind, text in texts:
        if not contains_match((text,), searches):
            continue
        for rule in _rules_for(target):
            if kind in rule.texts and _compile(rule.pattern).search(text) is not None:
                findings.add(rule.rule, path, rule.message.format(word=repr(rule.word)))


def check_special_tokens(
    texts: Iterable[tuple[str, str, str]], tokens: Iterable[str], findings: Findings
) -> None:
    """Check that no text contains a token that a chat template writes between turns."""
    for path, _, text in texts:
        for token in tokens:
            if token in text:
                message = f"contains {token!r}, a special token of this model's chat template"
                findings.add("special-token", path, message)
                break


def check_dspy(conversation: Conversation, findings: Findings) -> None:
    """Check for traces of DSPy programs that failed or had incomplete data."""
    texts = [
        (turn, "\n".join(getattr(block, "text", "") for block in turn.blocks))
        for turn in conversation.turns
    ]
    answers = [(turn.path, text) for turn, text in texts if turn.role == "assistant"]
    if answers:
        path, last = answers[-1]
        if len(last) > _LONG_ANSWER and last in [text for _, text in answers[:-1]]:
            message = "is equal to an earlier answer: the model would learn to copy from the prompt"
            findings.add("answer-in-prompt", path, message)
    system = "".join(text for turn, text in texts if turn.role == "system")
    if COMPLETED in system:
        for path, text in answers:
            if _is_unfinished(text):
                message = f"does not end with {COMPLETED}, which its system prompt requires: it may be truncated"
                findings.add("unfinished-answer", path, message)
    if DSPY in system:
        for turn, text in texts:
            if turn.role == "user" and INCOMPLETE in text:
                message = "is a DSPy demo with missing fields: add them, or remove the example"
                findings.add("incomplete-demo", turn.path, message)


def _is_unfinished(answer: str) -> bool:
    return bool(answer) and not answer.rstrip().endswith(COMPLETED)


def may_break_dspy_rule(system: str, prompts: Sequence[str], answers: Sequence[str]) -> bool:
    """Return whether `check_dspy` may report something about the texts of a record."""
    if len(answers) > 1 and len(answers[-1]) > _LONG_ANSWER and answers[-1] in answers[:-1]:
        return True
    if COMPLETED in system and any(map(_is_unfinished, answers)):
        return True
    return DSPY in system and any(INCOMPLETE in text for text in prompts)
