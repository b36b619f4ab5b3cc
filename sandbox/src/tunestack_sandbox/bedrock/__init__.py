"""Amazon Bedrock as the sandbox plays it: the operations that a tuning user meets."""

from tunestack_sandbox.bedrock.service import OPERATIONS, Bedrock
from tunestack_sandbox.bedrock.state import Quotas, Settings

__all__ = ["OPERATIONS", "Bedrock", "Quotas", "Settings"]
