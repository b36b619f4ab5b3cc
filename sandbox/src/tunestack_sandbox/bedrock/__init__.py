"""Amazon Bedrock: the operations for fine-tuning, and for invoking models."""

from tunestack_sandbox.bedrock.service import OPERATIONS, Bedrock
from tunestack_sandbox.bedrock.state import Quotas, Settings

__all__ = ["OPERATIONS", "Bedrock", "Quotas", "Settings"]
