"""The kinds of ids that users pass, and the error for an id of another kind."""

from __future__ import annotations

from enum import StrEnum

from tunestack.errors import ConfigError, ModelError, shortened


class IdKind(StrEnum):
    """What an id has to identify."""

    JOB = "job id"
    ENDPOINT = "endpoint id"
    MODEL = "model"
    """A fine-tuned model, by its ARN."""
    CUSTOM_MODEL = "custom model"
    """A fine-tuned model, by its ARN or name."""
    SOURCE = "model to fine-tune"

    @property
    def expected(self) -> str:
        """A description of valid ids."""
        return _EXPECTED[self]


_EXPECTED = {
    IdKind.JOB: "the ARN or name of a fine-tuning job (job.id, see `tunestack jobs list`), or an OpenAI job id (ftjob-...)",
    IdKind.ENDPOINT: "the ARN or name of an endpoint (endpoint.id, see `tunestack endpoints list`), "
    "or a fine-tuned model of OpenAI (ft:...)",
    IdKind.MODEL: "the ARN of a fine-tuned model on Bedrock (job.model, arn:aws:bedrock:<region>:<account>:custom-model/...), "
    "or a fine-tuned model of OpenAI (ft:...)",
    IdKind.CUSTOM_MODEL: "the ARN or name of a custom model on Bedrock (job.model, see `tunestack custom-models list`), "
    "or a fine-tuned model of OpenAI (ft:...)",
    IdKind.SOURCE: "a base model (see `tunestack models list`), a fine-tuned model (job.model), or the endpoint of one",
}
_MODELS = (IdKind.MODEL, IdKind.CUSTOM_MODEL, IdKind.SOURCE)


def invalid_id(kind: IdKind, identifier: str, problem: str) -> ConfigError:
    """Return the error for an id that can't be of a kind; a `ModelError` for models."""
    error = ModelError if kind in _MODELS else ConfigError
    return error(f"invalid {kind} {shortened(identifier)}: {problem}: expected {kind.expected}")
