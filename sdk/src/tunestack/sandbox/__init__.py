"""A local AWS on loopback, so that everything runs for real without an account.

S3, IAM, SSM, CloudFormation and the like are MiniStack's; Bedrock is ours, driven by botocore's own service model.
It shares the catalog and the contract with the SDK and nothing else: it is a second opinion.
"""

from tunestack.sandbox.clock import Clock
from tunestack.sandbox.environment import Sandbox

__all__ = ["Clock", "Sandbox"]
