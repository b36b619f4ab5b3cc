"""How a family writes a conversation as one text, for records of one prompt and one answer.

AWS documents single questions for these families; none of its pages shows a record of several turns (read 2026-11-22).
Whether the service puts a template of its own around a prompt is not documented either: a model trained on a template
is best asked by InvokeModel with the same template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack.catalog import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Said = tuple[str, str]
"""A role and what it says."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """The pieces between which texts stand."""

    begin: str = ""
    """Before everything."""
    before: Mapping[str, str]
    """Before what a role says."""
    after: Mapping[str, str]
    """Behind what a role says."""
    between: str = ""
    """Between two turns."""
    ask: str
    """What a prompt ends with: the answer follows."""
    system: tuple[str, str] | None = None
    """Around a system prompt that stands in the user's first turn."""
    special: tuple[str, ...]
    """What no text may hold: the turns could not be told from it."""
    source: str

    def render(self, turns: Sequence[Said]) -> tuple[str, str]:
        """Write the prompt, and the answer to it: the last turn, which is the assistant's."""
        *asked, (_, answer) = self._folded(turns)
        said = [self.before[role] + text + self.after[role] for role, text in asked]
        return self.begin + self.between.join([*said, self.ask]), answer

    def parse(self, prompt: str, answer: str) -> list[Said] | None:
        """Read back what `render` wrote; `None` if the prompt is a plain text."""
        ask = self.between + self.ask
        if not prompt.startswith(self.begin) or not prompt.endswith(ask):
            return None
        place, end = len(self.begin), len(prompt) - len(ask)
        turns: list[Said] = []
        while place < end:
            role = next((name for name in self.before if self._speaks(name, prompt, place)), None)
            if role is None:
                return None
            place += len(self.before[role])
            stop, behind = self._stop(role, prompt, place, end)
            if stop < 0:
                return None
            turns.append((role, prompt[place:stop]))
            place = stop + behind
        return [*self._unfolded(turns), ("assistant", answer)] if turns else None

    def _speaks(self, role: str, prompt: str, place: int) -> bool:
        return prompt.startswith(self.before[role], place)

    def _stop(self, role: str, prompt: str, place: int, end: int) -> tuple[int, int]:
        """Find where a text stops, and how long what comes before the next turn is."""
        if after := self.after[role]:
            return prompt.find(after, place, end), len(after)
        words = "|".join(re.escape(self.between + word) for word in self.before.values())
        found = re.compile(words).search(prompt, place, end)
        return (found.start(), len(self.between)) if found else (end, 0)

    def _folded(self, turns: Sequence[Said]) -> Sequence[Said]:
        if self.system is None or turns[0][0] != "system":
            return turns
        (_, system), (_, asked), *rest = turns
        begin, end = self.system
        return [("user", begin + system + end + asked), *rest]

    def _unfolded(self, turns: list[Said]) -> list[Said]:
        (_, asked), *rest = turns
        if self.system is None or not asked.startswith(self.system[0]):
            return turns
        system, _, asked = asked.removeprefix(self.system[0]).partition(self.system[1])
        return [("system", system), ("user", asked), *rest]


_ROLES = ("system", "user", "assistant")


def _headed(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _named(**names: str) -> dict[str, str]:
    return {role: f"{name}: " for role, name in names.items()}


TEMPLATES: Mapping[ChatTemplate, Template] = {
    ChatTemplate.LLAMA_3: Template(
        begin="<|begin_of_text|>",
        before={role: _headed(role) for role in _ROLES},
        after=dict.fromkeys(_ROLES, "<|eot_id|>"),
        ask=_headed("assistant"),
        special=("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        source="meta-llama/llama-models@ab8f592, llama3_1/prompt_format.md; user guide, model-parameters-meta",
    ),
    ChatTemplate.LLAMA_2: Template(
        begin="<s>",
        before={"user": "[INST] ", "assistant": " "},
        after={"user": " [/INST]", "assistant": " </s><s>"},
        ask="",
        system=("<<SYS>>\n", "\n<</SYS>>\n\n"),
        special=("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>"),
        source="meta-llama/llama, generation.py, chat_completion",
    ),
    ChatTemplate.COHERE: Template(
        before=_named(system="System", user="User", assistant="Chatbot"),
        after=dict.fromkeys(_ROLES, ""),
        between="\n",
        ask="Chatbot:",
        special=("\nSystem:", "\nUser:", "\nChatbot:"),
        source="a convention: the names of the roles are those of Cohere's chat API; no page documents the form",
    ),
    ChatTemplate.TITAN: Template(
        before=_named(system="System", user="User", assistant="Bot"),
        after=dict.fromkeys(_ROLES, ""),
        between="\n",
        ask="Bot:",
        special=("\nSystem:", "\nUser:", "\nBot:"),
        source="user guide, model-parameters-titan-text (User:, Bot:); where a system prompt goes is not documented",
    ),
}

# Those that nobody writes by chance.
_UNMISTAKABLE = (TEMPLATES[ChatTemplate.LLAMA_3], TEMPLATES[ChatTemplate.LLAMA_2])
UNMISTAKABLE_WORDS = tuple(word for template in _UNMISTAKABLE for word in template.special)
"""What a prompt holds that was written with such a template."""


def recognized(record: Mapping[str, object]) -> Template | None:
    """Tell with which template a prompt was written, so that its turns can be written in a format that has turns."""
    prompt = record.get("prompt")
    if not isinstance(prompt, str):
        return None
    return next((known for known in _UNMISTAKABLE if prompt.startswith(known.begin)), None)
