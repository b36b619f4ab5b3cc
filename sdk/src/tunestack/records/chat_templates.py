"""Chat templates: a conversation as one prompt and one completion.

For these model families, AWS documents single questions; no page has a record of several turns (read 2026-11-22).
It is not documented whether the service adds its own template to a prompt. Invoke a model that was trained on a template
with InvokeModel and the same template.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tunestack.catalog import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Message = tuple[str, str]
"""A role and a text."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """The strings around the texts of a conversation."""

    begin: str = ""
    """At the start of the prompt."""
    before: Mapping[str, str]
    """Before a text, by role."""
    after: Mapping[str, str]
    """After a text, by role."""
    between: str = ""
    """Between two messages."""
    end: str
    """At the end of the prompt, before the answer."""
    system: tuple[str, str] | None = None
    """Around a system prompt that is part of the first user message."""
    special_tokens: tuple[str, ...]
    """Strings that no text can contain, because they separate the messages."""
    source: str

    def render(self, turns: Sequence[Message]) -> tuple[str, str]:
        """Return the prompt and the completion, which is the last message of the assistant."""
        *prompt, (_, answer) = self._merge_system(turns)
        texts = [self.before[role] + text + self.after[role] for role, text in prompt]
        return self.begin + self.between.join([*texts, self.end]), answer

    def parse(self, prompt: str, answer: str) -> list[Message] | None:
        """Parse a prompt that `render` returned; `None` if the prompt has no template."""
        end_marker = self.between + self.end
        if not prompt.startswith(self.begin) or not prompt.endswith(end_marker):
            return None
        position, end = len(self.begin), len(prompt) - len(end_marker)
        turns: list[Message] = []
        while position < end:
            role = next(
                (name for name in self.before if prompt.startswith(self.before[name], position)),
                None,
            )
            if role is None:
                return None
            position += len(self.before[role])
            stop, length = self._find_end(role, prompt, position, end)
            if stop < 0:
                return None
            turns.append((role, prompt[position:stop]))
            position = stop + length
        return [*self._split_system(turns), ("assistant", answer)] if turns else None

    def _find_end(self, role: str, prompt: str, start: int, end: int) -> tuple[int, int]:
        """Return the end of a text, and the length of the string before the next message."""
        if after := self.after[role]:
            return prompt.find(after, start, end), len(after)
        starts = "|".join(re.escape(self.between + start) for start in self.before.values())
        match = re.compile(starts).search(prompt, start, end)
        return (match.start(), len(self.between)) if match else (end, 0)

    def _merge_system(self, turns: Sequence[Message]) -> Sequence[Message]:
        if self.system is None or turns[0][0] != "system":
            return turns
        (_, system), (_, user), *rest = turns
        begin, end = self.system
        return [("user", begin + system + end + user), *rest]

    def _split_system(self, turns: list[Message]) -> list[Message]:
        (_, user), *rest = turns
        if self.system is None or not user.startswith(self.system[0]):
            return turns
        system, _, user = user.removeprefix(self.system[0]).partition(self.system[1])
        return [("system", system), ("user", user), *rest]


_ROLES = ("system", "user", "assistant")


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _labels(**names: str) -> dict[str, str]:
    return {role: f"{name}: " for role, name in names.items()}


TEMPLATES: Mapping[ChatTemplate, Template] = {
    ChatTemplate.LLAMA_3: Template(
        begin="<|begin_of_text|>",
        before={role: _header(role) for role in _ROLES},
        after=dict.fromkeys(_ROLES, "<|eot_id|>"),
        end=_header("assistant"),
        special_tokens=(
            "<|begin_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        source="meta-llama/llama-models@ab8f592, llama3_1/prompt_format.md; user guide, model-parameters-meta",
    ),
    ChatTemplate.LLAMA_2: Template(
        begin="<s>",
        before={"user": "[INST] ", "assistant": " "},
        after={"user": " [/INST]", "assistant": " </s><s>"},
        end="",
        system=("<<SYS>>\n", "\n<</SYS>>\n\n"),
        special_tokens=("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>"),
        source="meta-llama/llama, generation.py, chat_completion",
    ),
    ChatTemplate.COHERE: Template(
        before=_labels(system="System", user="User", assistant="Chatbot"),
        after=dict.fromkeys(_ROLES, ""),
        between="\n",
        end="Chatbot:",
        special_tokens=("\nSystem:", "\nUser:", "\nChatbot:"),
        source="a convention: the role names of Cohere's chat API; the format is not documented",
    ),
    ChatTemplate.TITAN: Template(
        before=_labels(system="System", user="User", assistant="Bot"),
        after=dict.fromkeys(_ROLES, ""),
        between="\n",
        end="Bot:",
        special_tokens=("\nSystem:", "\nUser:", "\nBot:"),
        source="user guide, model-parameters-titan-text (User:, Bot:); the position of a system prompt is not documented",
    ),
}

# Their tokens don't appear in other texts.
_DISTINCTIVE = (TEMPLATES[ChatTemplate.LLAMA_3], TEMPLATES[ChatTemplate.LLAMA_2])
DISTINCTIVE_TOKENS = tuple(token for template in _DISTINCTIVE for token in template.special_tokens)
"""Special tokens by which `detect_template` detects a template."""


def detect_template(record: Mapping[str, object]) -> Template | None:
    """Return the template that a prompt was written with, so that its messages can be written in another format."""
    prompt = record.get("prompt")
    if not isinstance(prompt, str):
        return None
    return next((known for known in _DISTINCTIVE if prompt.startswith(known.begin)), None)
