"""What evaluations need of a provider: inference, and a place for their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.backends.base import Completion, EndpointInfo, InferenceSettings
    from tunestack.records.conversation import Conversation
    from tunestack.records.target import Rendering


class Inference(Protocol):
    """Invokes fine-tuned models and base models."""

    def rendering(self, model: str) -> Rendering | None:
        """Return the rendering of a fine-tuned model's training data; `None` if unknown, or for messages."""
        ...

    def complete(
        self,
        endpoint: EndpointInfo,
        conversation: Conversation,
        settings: InferenceSettings,
        *,
        rendering: Rendering | None = None,
    ) -> Completion:
        """Send a conversation, with its tools, to an endpoint or model and return the answer.

        Args:
            endpoint: the endpoint.
            conversation: the conversation.
            settings: the settings of the request.
            rendering: how the prompt is written, for models that are trained on prompts; by default as in the training data.

        Raises:
            InvalidRequestError: the provider, or this model, does not accept the conversation.
        """
        ...

    def base_endpoint(self, model: str) -> EndpointInfo:
        """Return what a base model is invoked with, by any of its names: on Bedrock an inference profile or its model id.

        Raises:
            ModelError: it can't be invoked here.
        """
        ...

    def request_quota(self, endpoint: EndpointInfo) -> float | None:
        """Return the requests per minute that the provider allows for an endpoint; `None` if that is unknown."""
        ...


@runtime_checkable
class ResultStore(Protocol):
    """A backend that stores evaluations and promotions beside the output of the jobs."""

    def put_result(self, name: str, content: bytes) -> str:
        """Store a result, or replace it, and return its URI.

        Args:
            name: the path below the results, such as `<model>/<evaluation>/evaluation.json`.
            content: the content.
        """
        ...

    def read_result(self, name: str) -> bytes:
        """Read a result.

        Raises:
            NotFoundError: it does not exist.
        """
        ...

    def list_results(self, prefix: str) -> Iterator[str]:
        """List the names of the results that start with a prefix."""
        ...

    def caller(self) -> str:
        """Return who sends the requests: on AWS the ARN of the user or the session of a role."""
        ...
