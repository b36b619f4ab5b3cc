"""Amazon Bedrock as the sandbox plays it: the operations that a tuning user meets."""

from tunestack.sandbox.bedrock.service import Bedrock

__all__ = ["Bedrock"]
