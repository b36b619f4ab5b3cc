"""Totals over the records of a file: counts, problems, losses, tokens and fingerprints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import RecordFormat
from tunestack.records.conversations import Conversations
from tunestack.records.file_checks import FileSummary
from tunestack.records.findings import Severity, without_indices
from tunestack.records.fingerprints import Fingerprints
from tunestack.records.report import Problem, Report, Tokens
from tunestack.records.rules import RULES
from tunestack.records.tokens import BYTES_PER_TOKEN, count_tokens

if TYPE_CHECKING:
    from tunestack.records.fast_path import ConvertedLines
    from tunestack.records.slow_path import RecordResult
    from tunestack.records.target import Rendering, Target

_MAX_LOSS_PATHS = 100
"""Losses at more paths than these are counted together."""


class Totals(msgspec.Struct):
    """Totals of a file, updated record by record."""

    target: Target
    max_problems: int
    """Errors after which only the fast path is used, and listed problems of each rule."""
    lines: int = 0
    records: int = 0
    invalid: int = 0
    """Records with errors."""
    unchecked: int = 0
    """Records that the fast path could not decide after `max_problems` errors."""
    errors: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each rule was broken."""
    losses: Counter[str] = msgspec.field(default_factory=Counter)
    content: Counter[str] = msgspec.field(default_factory=Counter)
    """Records with each kind of content other than text."""
    systems: int = 0
    """Records with a system prompt."""
    rendered: int = 0
    """Records whose prompt is written with a chat template already."""
    tokens: Counter[int] = msgspec.field(default_factory=Counter)
    """Records by their number of tokens."""
    notices: list[str] = msgspec.field(default_factory=list)
    """How the data was read, if it is not in one of Tunestack's formats."""
    problems: list[Problem] = msgspec.field(default_factory=list)
    conversations: Conversations | None = None
    """The conversations of the written records, if they are compared with another file."""
    fingerprints: Fingerprints = msgspec.field(default_factory=Fingerprints)
    simplified: Fingerprints | None = None
    """The fingerprints of the simplified records, if near-duplicates are searched."""

    @property
    def has_max_errors(self) -> bool:
        """Whether the limit of errors is reached."""
        return self.errors >= self.max_problems

    def add_converted(self, converted: ConvertedLines) -> None:
        """Add records that the fast path converted."""
        self.records += len(converted.sizes)
        # `count_tokens` without a call for each record.
        self.tokens.update([-(-size // BYTES_PER_TOKEN) for size in converted.sizes])
        for template, records in converted.templates.items():
            self.systems += records * template.has_system
            self.content.update(dict.fromkeys(template.content, records))

    def add_result(self, result: RecordResult, index: int, offset: int | None) -> None:
        """Add the result of the slow path for a line.

        Args:
            result: the result.
            index: the index of the line in its chunk.
            offset: the offset of the line in the file.
        """
        errors = 0
        for problem in result.problems:
            severity = RULES[problem.rule].severity
            errors += severity is Severity.ERROR
            self.counts[problem.rule] += 1
            if self.counts[problem.rule] <= self.max_problems:
                self.problems.append(
                    Problem(
                        rule=problem.rule,
                        severity=severity,
                        message=problem.message,
                        line=self.lines + index + 1,
                        offset=offset,
                        path=problem.path,
                    )
                )
        self.errors += errors
        self.invalid += bool(errors)
        self.content.update(result.content)
        self.rendered += result.is_rendered
        self.systems += result.has_system
        for loss in result.losses:
            text = f"{without_indices(loss.path)}: {loss.message}"
            is_listed = text in self.losses or len(self.losses) < _MAX_LOSS_PATHS
            self.losses[text if is_listed else "other paths"] += 1
        if result.line is not None:
            self.tokens[count_tokens(result.size)] += 1

    def add_file_problem(self, rule: str, message: str, line: int | None = None) -> None:
        """Add a problem of the whole file."""
        if rule in self.target.ignored:
            return
        severity = RULES[rule].severity
        self.counts[rule] += 1
        self.problems.append(Problem(rule=rule, severity=severity, message=message, line=line))
        self.errors += severity is Severity.ERROR

    def summarize(self) -> FileSummary:
        """Return what is compared with another file."""
        return FileSummary(
            model=self.target.model,
            records=self.records,
            rendering=self.rendering,
            fingerprints=self.fingerprints,
            read_conversations=lambda: self.conversations or Conversations(),
        )

    @property
    def rendering(self) -> Rendering | None:
        """How the prompts are written, as in the data if it has the chat template already."""
        is_rendered = 0 < self.rendered == self.records - self.invalid
        return "chat-template" if is_rendered else self.target.rendering

    def report(self, duplicates: int) -> Report:
        """Create the report."""
        return Report(
            model=self.target.model_key,
            format=self.target.format,
            source_format=self.target.source or RecordFormat.CHAT,
            rendering=self.rendering,
            records=self.records,
            invalid_records=self.invalid,
            unchecked_records=self.unchecked,
            problems=tuple(self.problems),
            counts=dict(self.counts),
            losses=dict(self.losses.most_common()),
            duplicates=duplicates,
            content=dict(sorted(self.content.items())),
            tokens=Tokens.from_histogram(self.tokens),
            notices=tuple(self.notices),
        )
