"""Names and records for the tests of the sandbox."""

NOVA, LLAMA = "amazon.nova-micro-v1:0:128k", "meta.llama3-1-8b-instruct-v1:0:128k"
A_JOB = 5821
"""Seconds that a job takes, and one."""
A_DEPLOYMENT, A_THROUGHPUT = 481, 1501


def converse_row(number):
    """Return a record for Nova and for Llama 3.2 and 3.3."""
    return {
        "schemaVersion": "bedrock-conversation-2024",
        "messages": [
            {"role": "user", "content": [{"text": f"number {number}?"}]},
            {"role": "assistant", "content": [{"text": str(number)}]},
        ],
    }


def completion_row(number):
    """Return a record for Llama 3.1, Cohere and Titan."""
    return {"prompt": f"number {number}?", "completion": str(number)}


def titan_row(number):
    """Return a record for Titan in the format of the project's specification."""
    return {"inputText": f"number {number}?", "outputText": str(number)}


def claude_row(number):
    """Return a record for Claude."""
    return {
        "system": "Count.",
        "messages": [
            {"role": "user", "content": f"number {number}?"},
            {"role": "assistant", "content": str(number)},
        ],
    }
