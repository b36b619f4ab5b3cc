"""Invoke an endpoint with each Python client. Prints a JSON object for each client and capability.

Usage: python clients.py ENDPOINT, in a virtual environment with `requirements.txt`, inside a sandbox. ENDPOINT is a JSON
object with `kind`, `arn`, `base` (the id of the base model), `region`, `question` and `answer`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from typing import Any, Literal, Protocol

import boto3
from pydantic import BaseModel

warnings.simplefilter("ignore")

ENDPOINT = json.loads(sys.argv[1])
ARN, BASE, REGION = ENDPOINT["arn"], ENDPOINT["base"], ENDPOINT["region"]
QUESTION, ANSWER = ENDPOINT["question"], ENDPOINT["answer"]
MESSAGES = [{"role": "user", "content": [{"text": QUESTION}]}]


class Client(Protocol):
    """A client of an endpoint."""

    def chat(self) -> None:
        """Send a message and check the response."""


class Ticket(BaseModel):
    """A ticket."""

    parcel: str
    urgency: Literal["low", "high"]


def check_ticket(ticket: Ticket | dict[str, Any] | None) -> None:
    """Check the object that a client returns: its text is the answer of the fine-tuned model."""
    assert ticket is not None, "no tool was called"
    values = ticket if isinstance(ticket, dict) else ticket.model_dump()
    assert values["parcel"] == ANSWER, values
    assert values["urgency"] in ("low", "high"), values


def check_answer(text: str) -> None:
    """Check that a text is the answer of the fine-tuned model."""
    assert text.strip() == ANSWER, text


TOOL = {
    "toolSpec": {
        "name": "assign",
        "description": "Assign a ticket to a team.",
        "inputSchema": {"json": Ticket.model_json_schema()},
    }
}
FORCED_TOOL = {"tools": [TOOL], "toolChoice": {"any": {}}}
FUNCTION = {
    "type": "function",
    "function": {"name": "assign", "parameters": Ticket.model_json_schema()},
}


class Boto3:
    package = "boto3"

    def client(self):
        return boto3.client("bedrock-runtime", REGION)

    def chat(self):
        answer = self.client().converse(modelId=ARN, messages=MESSAGES)
        check_answer(answer["output"]["message"]["content"][0]["text"])

    def stream(self):
        events = self.client().converse_stream(modelId=ARN, messages=MESSAGES)["stream"]
        deltas = [
            event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event
        ]
        check_answer("".join(delta["text"] for delta in deltas))

    def tools(self):
        answer = self.client().converse(modelId=ARN, messages=MESSAGES, toolConfig=FORCED_TOOL)
        check_ticket(answer["output"]["message"]["content"][0]["toolUse"]["input"])


class AwsCli:
    package = "awscli"

    def converse(self, *options):
        command = ["aws", "bedrock-runtime", "converse", "--model-id", ARN, "--region", REGION]
        command += ["--messages", json.dumps(MESSAGES), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)["output"]["message"]["content"][0]

    def chat(self):
        check_answer(self.converse()["text"])

    def tools(self):
        check_ticket(self.converse("--tool-config", json.dumps(FORCED_TOOL))["toolUse"]["input"])


class LangChain:
    package = "langchain-aws"

    def model(self, **options):
        from langchain_aws import ChatBedrockConverse

        provider = BASE.split(".")[0]
        return ChatBedrockConverse(
            model=ARN, provider=provider, base_model=BASE, region_name=REGION, **options
        )

    def chat(self):
        check_answer(self.model().invoke(QUESTION).text)

    def stream(self):
        check_answer("".join(chunk.text for chunk in self.model().stream(QUESTION)))

    def tools(self):
        call = self.model().bind_tools([Ticket], tool_choice="any").invoke(QUESTION).tool_calls[0]
        check_ticket(call["args"])

    def structured(self):
        check_ticket(self.model().with_structured_output(Ticket).invoke(QUESTION))


class LiteLlm:
    package = "litellm"

    def completion(self, **options):
        import litellm

        litellm.suppress_debug_info = True
        messages: Any = [{"role": "user", "content": QUESTION}]
        return litellm.completion(
            model=f"bedrock/converse/{BASE}",
            model_id=ARN,
            aws_region_name=REGION,
            messages=messages,
            num_retries=0,
            **options,
        )

    def chat(self):
        check_answer(self.completion().choices[0].message.content)

    def stream(self):
        chunks = self.completion(stream=True)
        check_answer("".join(chunk.choices[0].delta.content or "" for chunk in chunks))

    def tools(self):
        answer = self.completion(tools=[FUNCTION], tool_choice="required")
        check_ticket(json.loads(answer.choices[0].message.tool_calls[0].function.arguments))

    def structured(self):
        answer = self.completion(response_format=Ticket)
        check_ticket(json.loads(answer.choices[0].message.content))


class Strands:
    package = "strands-agents"

    def agent(self, **options):
        from strands import Agent
        from strands.models import BedrockModel

        # Llama does not support tools in a stream, in the sandbox and on AWS.
        streaming = BASE.startswith("amazon.")
        model = BedrockModel(model_id=ARN, region_name=REGION, streaming=streaming)
        return Agent(model=model, callback_handler=None, **options)

    def chat(self):
        check_answer(str(self.agent()(QUESTION)))

    def stream(self):
        async def collect():
            return [
                event["data"]
                async for event in self.agent().stream_async(QUESTION)
                if "data" in event
            ]

        check_answer("".join(asyncio.run(collect())))

    def tools(self):
        from strands import tool

        parcels = []

        @tool
        def find_parcel(parcel: str) -> str:
            """Find a parcel."""
            parcels.append(parcel)
            return "delivered"

        self.agent(tools=[find_parcel])(QUESTION, structured_output_model=Ticket)
        assert parcels == [ANSWER], "no tool was called"

    def structured(self):
        check_ticket(self.agent()(QUESTION, structured_output_model=Ticket).structured_output)


class PydanticAi:
    package = "pydantic-ai-slim"

    def agent(self, **options):
        from pydantic_ai import Agent
        from pydantic_ai.models.bedrock import BedrockConverseModel
        from pydantic_ai.providers.bedrock import BedrockProvider

        provider = BedrockProvider(region_name=REGION)
        # The client cannot derive the capabilities of the model from an ARN.
        model = BedrockConverseModel(ARN, provider=provider, profile=provider.model_profile(BASE))
        return Agent(model, **options)

    def chat(self):
        check_answer(self.agent().run_sync(QUESTION).output)

    def stream(self):
        async def collect():
            async with self.agent().run_stream(QUESTION) as result:
                return [text async for text in result.stream_text(delta=True)]

        check_answer("".join(asyncio.run(collect())))

    def tools(self):
        agent = self.agent(output_type=Ticket)
        parcels = []

        @agent.tool_plain
        def find_parcel(parcel: str) -> str:
            parcels.append(parcel)
            return "delivered"

        agent.run_sync(QUESTION)
        assert parcels == [ANSWER]

    def structured(self):
        check_ticket(self.agent(output_type=Ticket).run_sync(QUESTION).output)


class Haystack:
    package = "amazon-bedrock-haystack"

    def run(self, **options):
        from haystack.dataclasses import ChatMessage
        from haystack_integrations.components.generators.amazon_bedrock import (
            AmazonBedrockChatGenerator,
        )

        os.environ["AWS_DEFAULT_REGION"] = REGION
        callback = options.pop("streaming_callback", None)
        generator = AmazonBedrockChatGenerator(model=ARN, streaming_callback=callback)
        return generator.run([ChatMessage.from_user(QUESTION)], **options)["replies"][0]

    def chat(self):
        check_answer(self.run().text)

    def stream(self):
        pieces = []
        self.run(streaming_callback=lambda chunk: pieces.append(chunk.content))
        check_answer("".join(pieces))

    def tools(self):
        # The argument `tools` has no tool choice, so this uses Bedrock's configuration.
        reply = self.run(generation_kwargs={"toolConfig": FORCED_TOOL})
        check_ticket(reply.tool_calls[0].arguments)

    def structured(self):
        schema = {**Ticket.model_json_schema(), "additionalProperties": False}
        reply = self.run(generation_kwargs={"response_format": {"name": "t", "schema": schema}})
        check_ticket(json.loads(reply.text))


class OpenAi:
    package = "openai"

    def create(self, **options):
        import openai

        messages: Any = [{"role": "user", "content": QUESTION}]
        return openai.OpenAI().chat.completions.create(model=ARN, messages=messages, **options)

    def chat(self):
        check_answer(self.create().choices[0].message.content)

    def stream(self):
        chunks = list(self.create(stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].usage.total_tokens
        check_answer("".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]))

    def tools(self):
        answer = self.create(tools=[FUNCTION], tool_choice="required")
        check_ticket(json.loads(answer.choices[0].message.tool_calls[0].function.arguments))

    def structured(self):
        import openai

        messages: Any = [{"role": "user", "content": QUESTION}]
        answer = openai.OpenAI().chat.completions.parse(
            model=ARN, messages=messages, response_format=Ticket
        )
        check_ticket(answer.choices[0].message.parsed)


BEDROCK_CLIENTS = (Boto3, AwsCli, LangChain, LiteLlm, Strands, PydanticAi, Haystack)


def chat_with_api_key(client: Client) -> None:
    """Chat with a Bedrock API key and no other credentials."""
    from aws_bedrock_token_generator import provide_token

    environment = dict(os.environ)
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = provide_token(REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.pop(name)
    boto3.DEFAULT_SESSION = None
    try:
        client.chat()
    finally:
        os.environ.clear()
        os.environ.update(environment)
        boto3.DEFAULT_SESSION = None


def run_capability(client: Client, capability: str) -> str:
    """Return `works`, `not offered`, or the error of the client or the service."""
    if capability == "api key":
        attempt = None if isinstance(client, OpenAi) else lambda: chat_with_api_key(client)
    else:
        attempt = getattr(client, capability, None)
    if attempt is None:
        return "not offered"
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - every error is a result
        return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
    return "works"


def main() -> None:
    """Run each capability of each client."""
    clients = (OpenAi,) if ENDPOINT["kind"] == "openai" else BEDROCK_CLIENTS
    for client in clients:
        for capability in ("chat", "stream", "tools", "structured", "api key"):
            result = run_capability(client(), capability)
            package = client.package
            client_version = (
                os.environ["AWS_CLI_VERSION"] if package == "awscli" else version(package)
            )
            row = {"client": package, "version": client_version, "kind": ENDPOINT["kind"]}
            sys.stdout.write(json.dumps({**row, "capability": capability, "result": result}) + "\n")


main()
