"""Validation of responses by the types of the openai package, if it is installed."""

from __future__ import annotations

import json
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack_sandbox.messages import Response

RESPONSE_TYPES = {
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
"""The type of each operation's response, as module and name; that of the rows for lists."""
# States that the API reference has and the types do not, with a state that they have.
_UNTYPED_STATES = {"pausing": "running", "paused": "running"}


class ResponseTypes:
    """Validates responses by the openai package's types."""

    @cached_property
    def _types(self) -> Mapping[str, Any]:
        try:
            return {
                name: getattr(import_module(path.partition(":")[0]), path.partition(":")[2])
                for name, path in RESPONSE_TYPES.items()
            }
        except ModuleNotFoundError:
            return {}

    def validate(self, operation: str, response: Response) -> list[str]:
        """Return the violations of a response against the type of its operation."""
        response_type = self._types.get(operation)
        if response_type is None or response.headers.get("Content-Type"):
            return []
        content = json.loads(response.body)
        rows = content["data"] if content.get("object") == "list" else [content]
        violations = []
        for row in rows:
            if row.get("error") == {}:  # OpenAI returns this, although its types do not allow it
                row.pop("error")
            if row.get("object") == "fine_tuning.job":
                row["status"] = _UNTYPED_STATES.get(row["status"], row["status"])
            try:
                response_type.model_validate(row)
            except ValueError as error:
                violations.append(f"answer of {operation}: {error}")
        return violations
