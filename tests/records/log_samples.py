"""Entries of Bedrock's model invocation log, by the user guide's page model-invocation-logging."""

import gzip
import json

NOVA = "us.amazon.nova-pro-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
FOLDER = "AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1"


def entry(number, request, response, *, model=NOVA, operation="Converse", **more):
    """Return an entry with these bodies."""
    minute, second = divmod(number % 3600, 60)
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": f"2026-11-{1 + number // 86400 % 28:02}T{number // 3600 % 24:02}:{minute:02}:{second:02}Z",
        "accountId": "123456789012",
        "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/app/session"},
        "region": "us-east-1",
        "requestId": f"request-{number}",
        "operation": operation,
        "modelId": model,
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": request,
            "inputTokenCount": 9,
        },
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": response,
            "outputTokenCount": 7,
        },
        **more,
    }


def converse_entry(number, *, question=None, answer=None, stop="end_turn", **more):
    """Return an entry of Converse."""
    request = {
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [{"role": "user", "content": [{"text": question or f"Question {number}?"}]}],
        "inferenceConfig": {"temperature": 0.7},
    }
    message = {"role": "assistant", "content": [{"text": answer or f"Answer {number}."}]}
    response = {"output": {"message": message}, "stopReason": stop, "usage": {"totalTokens": 16}}
    return entry(number, request, response, **more)


def chat(question, answer):
    """Return the record of an entry of `converse_entry`."""
    return {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def pack(entries):
    """Return a log file."""
    return gzip.compress("".join(json.dumps(item) + "\n" for item in entries).encode(), 1)
