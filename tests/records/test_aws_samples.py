"""The structure of AWS's public data sets for Nova: accepted, with all of their content.

Sources: aws-samples/amazon-nova-samples, customization/Nova_2.0 (records without schemaVersion, with reasoning) and the tool-use
set, whose schemaVersion is tooluse-dataset-2024.
"""

import json

import pytest

from tunestack.catalog import CATALOG
from tunestack.records import check, prepare

TOOL = {
    "toolSpec": {
        "name": "get_weather",
        "description": "Get the weather.",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            }
        },
    }
}


def reasoning_record(number):
    reasoning = {"reasoningText": {"text": f"Step {number}."}}
    answer = [{"reasoningContent": reasoning}, {"text": f"Answer {number}."}]
    return {
        "system": [{"text": f"You are assistant {number}."}],
        "messages": [
            {"role": "user", "content": [{"text": f"Question {number}?"}]},
            {"role": "assistant", "content": answer},
        ],
    }


def tool_record(number):
    identifier = f"tooluse_{number}"
    use = {"toolUseId": identifier, "name": "get_weather", "input": {"city": f"City {number}"}}
    result = {
        "toolUseId": identifier,
        "content": [{"json": {"degrees": number}}],
        "status": "success",
    }
    return {
        "schemaVersion": "tooluse-dataset-2024",
        "system": [{"text": "Use tools."}],
        "toolConfig": {"tools": [TOOL]},
        "messages": [
            {"role": "user", "content": [{"text": f"Weather in city {number}?"}]},
            {"role": "assistant", "content": [{"text": "I look."}, {"toolUse": use}]},
            {"role": "user", "content": [{"toolResult": result}]},
            {"role": "assistant", "content": [{"text": f"{number} degrees."}]},
        ],
    }


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


def test_records_with_reasoning_are_accepted_with_their_system_prompts(tmp_path):
    records = [reasoning_record(number) for number in range(250)]
    dataset = prepare(records, CATALOG["nova-2-lite"], tmp_path / "out.jsonl")
    written = [json.loads(line) for line in dataset.path.read_text().splitlines()]
    assert [without(record, "schemaVersion") for record in written] == records
    assert {record["schemaVersion"] for record in written} == {"bedrock-conversation-2024"}
    assert dataset.report.losses == {}


@pytest.mark.parametrize("key", ["nova-2-lite", "nova-micro"])
def test_records_with_tools_are_accepted_with_all_of_their_content(tmp_path, key):
    records = [tool_record(number) for number in range(680)]
    dataset = prepare(records, CATALOG[key], tmp_path / "out.jsonl")
    assert dataset.report.losses == {}
    for line, record in zip(dataset.path.read_text().splitlines(), records, strict=True):
        del record["messages"][2]["content"][0]["toolResult"]["status"]
        assert without(json.loads(line), "schemaVersion") == without(record, "schemaVersion")


def test_the_status_of_a_failed_call_is_not_left_out_silently():
    records = [tool_record(number) for number in range(680)]
    records[3]["messages"][2]["content"][0]["toolResult"]["status"] = "error"
    (problem,) = check(records, CATALOG["nova-2-lite"]).errors
    assert (problem.line, problem.rule) == (4, "loss")
