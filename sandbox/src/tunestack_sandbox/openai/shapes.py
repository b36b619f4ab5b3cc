"""Answers checked against the openai package's own types, where it is installed."""

from __future__ import annotations

import json
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack_sandbox.wire import Answer

# What each operation answers, by where its type is; of lists, what their rows are.
_TYPES = {
    "createFile": "openai.types:FileObject",
    "listFiles": "openai.types:FileObject",
    "retrieveFile": "openai.types:FileObject",
    "deleteFile": "openai.types:FileDeleted",
    "createUpload": "openai.types:Upload",
    "addUploadPart": "openai.types.uploads:UploadPart",
    "completeUpload": "openai.types:Upload",
    "cancelUpload": "openai.types:Upload",
    "createFineTuningJob": "openai.types.fine_tuning:FineTuningJob",
    "listPaginatedFineTuningJobs": "openai.types.fine_tuning:FineTuningJob",
    "retrieveFineTuningJob": "openai.types.fine_tuning:FineTuningJob",
    "cancelFineTuningJob": "openai.types.fine_tuning:FineTuningJob",
    "pauseFineTuningJob": "openai.types.fine_tuning:FineTuningJob",
    "resumeFineTuningJob": "openai.types.fine_tuning:FineTuningJob",
    "listFineTuningEvents": "openai.types.fine_tuning:FineTuningJobEvent",
    "listFineTuningJobCheckpoints": "openai.types.fine_tuning.jobs:FineTuningJobCheckpoint",
    "listModels": "openai.types:Model",
    "retrieveModel": "openai.types:Model",
    "deleteModel": "openai.types:ModelDeleted",
    "createChatCompletion": "openai.types.chat:ChatCompletion",
}
# In the API's reference, and not in the types.
_UNTYPED = {"pausing": "running", "paused": "running"}


class Shapes:
    """The types of answers."""

    @cached_property
    def _types(self) -> Mapping[str, Any]:
        try:
            return {
                name: getattr(import_module(place.partition(":")[0]), place.partition(":")[2])
                for name, place in _TYPES.items()
            }
        except ModuleNotFoundError:
            return {}

    def violations(self, operation: str, answer: Answer) -> list[str]:
        """Tell what of an answer is not as its type says."""
        kind = self._types.get(operation)
        if kind is None or answer.headers.get("Content-Type"):
            return []
        content = json.loads(answer.body)
        rows = content["data"] if content.get("object") == "list" else [content]
        found = []
        for row in rows:
            if row.get("error") == {}:  # as OpenAI answers, against its own types
                row.pop("error")
            if row.get("object") == "fine_tuning.job":
                row["status"] = _UNTYPED.get(row["status"], row["status"])
            try:
                kind.model_validate(row)
            except ValueError as error:
                found.append(f"answer of {operation}: {error}")
        return found
