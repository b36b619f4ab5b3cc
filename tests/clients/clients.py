"""Ask one endpoint with every Python client; prints a JSON object for each capability of each.

Runs in an environment of its own (`requirements.txt`), inside a sandbox: python clients.py ENDPOINT, where ENDPOINT is a JSON
object with `kind`, `arn`, `base` (the base model's id), `region`, `question` and `answer`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from typing import Literal

import boto3
from pydantic import BaseModel

warnings.simplefilter("ignore")

ENDPOINT = json.loads(sys.argv[1])
ARN, BASE, REGION = ENDPOINT["arn"], ENDPOINT["base"], ENDPOINT["region"]
QUESTION, ANSWER = ENDPOINT["question"], ENDPOINT["answer"]
MESSAGES = [{"role": "user", "content": [{"text": QUESTION}]}]


class Ticket(BaseModel):
    """A ticket."""

    parcel: str
    urgency: Literal["low", "high"]


def found(ticket: object) -> None:
    """Check what a client made of the simulated input: the answer of the fine-tuned model, where a text is expected."""
    assert ticket is not None, "no tool was called"
    values = ticket if isinstance(ticket, dict) else ticket.model_dump()
    assert ANSWER == values["parcel"], values
    assert values["urgency"] in ("low", "high"), values


def said(text: str) -> None:
    assert ANSWER == text.strip(), text


TOOL = {
    "toolSpec": {
        "name": "sort",
        "description": "Sort a ticket.",
        "inputSchema": {"json": Ticket.model_json_schema()},
    }
}
FORCED = {"tools": [TOOL], "toolChoice": {"any": {}}}
FUNCTION = {
    "type": "function",
    "function": {"name": "sort", "parameters": Ticket.model_json_schema()},
}


class Boto3:
    package = "boto3"

    def client(self):
        return boto3.client("bedrock-runtime", REGION)

    def chat(self):
        answer = self.client().converse(modelId=ARN, messages=MESSAGES)
        said(answer["output"]["message"]["content"][0]["text"])

    def stream(self):
        events = self.client().converse_stream(modelId=ARN, messages=MESSAGES)["stream"]
        deltas = [
            event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event
        ]
        said("".join(delta["text"] for delta in deltas))

    def tools(self):
        answer = self.client().converse(modelId=ARN, messages=MESSAGES, toolConfig=FORCED)
        found(answer["output"]["message"]["content"][0]["toolUse"]["input"])


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
        said(self.converse()["text"])

    def tools(self):
        found(self.converse("--tool-config", json.dumps(FORCED))["toolUse"]["input"])


class LangChain:
    package = "langchain-aws"

    def model(self, **options):
        from langchain_aws import ChatBedrockConverse

        vendor = BASE.split(".")[0]
        return ChatBedrockConverse(
            model=ARN, provider=vendor, base_model=BASE, region_name=REGION, **options
        )

    def chat(self):
        said(self.model().invoke(QUESTION).text)

    def stream(self):
        said("".join(chunk.text for chunk in self.model().stream(QUESTION)))

    def tools(self):
        call = self.model().bind_tools([Ticket], tool_choice="any").invoke(QUESTION).tool_calls[0]
        found(call["args"])

    def structured(self):
        found(self.model().with_structured_output(Ticket).invoke(QUESTION))


class LiteLlm:
    package = "litellm"

    def completion(self, **options):
        import litellm

        litellm.suppress_debug_info = True
        messages = [{"role": "user", "content": QUESTION}]
        return litellm.completion(
            model=f"bedrock/converse/{BASE}",
            model_id=ARN,
            aws_region_name=REGION,
            messages=messages,
            num_retries=0,
            **options,
        )

    def chat(self):
        said(self.completion().choices[0].message.content)

    def stream(self):
        chunks = self.completion(stream=True)
        said("".join(chunk.choices[0].delta.content or "" for chunk in chunks))

    def tools(self):
        answer = self.completion(tools=[FUNCTION], tool_choice="required")
        found(json.loads(answer.choices[0].message.tool_calls[0].function.arguments))

    def structured(self):
        answer = self.completion(response_format=Ticket)
        found(json.loads(answer.choices[0].message.content))


class Strands:
    package = "strands-agents"

    def agent(self, **options):
        from strands import Agent
        from strands.models import BedrockModel

        # Llama takes tools in a stream neither here nor on AWS.
        streaming = BASE.startswith("amazon.")
        model = BedrockModel(model_id=ARN, region_name=REGION, streaming=streaming)
        return Agent(model=model, callback_handler=None, **options)

    def chat(self):
        said(str(self.agent()(QUESTION)))

    def stream(self):
        async def collect():
            return [
                event["data"]
                async for event in self.agent().stream_async(QUESTION)
                if "data" in event
            ]

        said("".join(asyncio.run(collect())))

    def tools(self):
        from strands import tool

        called = []

        @tool
        def look(parcel: str) -> str:
            """Look for a parcel."""
            called.append(parcel)
            return "seen"

        self.agent(tools=[look])(QUESTION, structured_output_model=Ticket)
        assert [ANSWER] == called, "no tool was called"

    def structured(self):
        found(self.agent()(QUESTION, structured_output_model=Ticket).structured_output)


class PydanticAi:
    package = "pydantic-ai-slim"

    def agent(self, **options):
        from pydantic_ai import Agent
        from pydantic_ai.models.bedrock import BedrockConverseModel
        from pydantic_ai.providers.bedrock import BedrockProvider

        provider = BedrockProvider(region_name=REGION)
        # By an ARN alone it does not know what the model can do.
        model = BedrockConverseModel(ARN, provider=provider, profile=provider.model_profile(BASE))
        return Agent(model, **options)

    def chat(self):
        said(self.agent().run_sync(QUESTION).output)

    def stream(self):
        async def collect():
            async with self.agent().run_stream(QUESTION) as result:
                return [text async for text in result.stream_text(delta=True)]

        said("".join(asyncio.run(collect())))

    def tools(self):
        agent = self.agent(output_type=Ticket)
        called = []

        @agent.tool_plain
        def look(parcel: str) -> str:
            called.append(parcel)
            return "seen"

        agent.run_sync(QUESTION)
        assert [ANSWER] == called

    def structured(self):
        found(self.agent(output_type=Ticket).run_sync(QUESTION).output)


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
        said(self.run().text)

    def stream(self):
        pieces = []
        self.run(streaming_callback=lambda chunk: pieces.append(chunk.content))
        said("".join(pieces))

    def tools(self):
        # Its own tools have no choice: Bedrock's configuration replaces them.
        reply = self.run(generation_kwargs={"toolConfig": FORCED})
        found(reply.tool_calls[0].arguments)

    def structured(self):
        schema = {**Ticket.model_json_schema(), "additionalProperties": False}
        reply = self.run(generation_kwargs={"response_format": {"name": "t", "schema": schema}})
        found(json.loads(reply.text))


class OpenAi:
    package = "openai"

    def create(self, **options):
        import openai

        messages = [{"role": "user", "content": QUESTION}]
        return openai.OpenAI().chat.completions.create(model=ARN, messages=messages, **options)

    def chat(self):
        said(self.create().choices[0].message.content)

    def stream(self):
        chunks = list(self.create(stream=True, stream_options={"include_usage": True}))
        assert chunks[-1].usage.total_tokens
        said("".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]))

    def tools(self):
        answer = self.create(tools=[FUNCTION], tool_choice="required")
        found(json.loads(answer.choices[0].message.tool_calls[0].function.arguments))

    def structured(self):
        import openai

        messages = [{"role": "user", "content": QUESTION}]
        answer = openai.OpenAI().chat.completions.parse(
            model=ARN, messages=messages, response_format=Ticket
        )
        found(answer.choices[0].message.parsed)


OF_BEDROCK = (Boto3, AwsCli, LangChain, LiteLlm, Strands, PydanticAi, Haystack)


def with_api_key(client: object) -> None:
    """Chat with a Bedrock API key and no other credentials."""
    from aws_bedrock_token_generator import provide_token

    before = dict(os.environ)
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = provide_token(REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.pop(name)
    boto3.DEFAULT_SESSION = None
    try:
        client.chat()
    finally:
        os.environ.clear()
        os.environ.update(before)
        boto3.DEFAULT_SESSION = None


def tried(client: object, capability: str) -> str:
    """Return `works`, `not offered`, or what the client or the service says."""
    if capability == "api key":
        attempt = None if isinstance(client, OpenAi) else lambda: with_api_key(client)
    else:
        attempt = getattr(client, capability, None)
    if attempt is None:
        return "not offered"
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
    return "works"


def main() -> None:
    """Try all of them."""
    clients = (OpenAi,) if ENDPOINT["kind"] == "openai" else OF_BEDROCK
    for kind in clients:
        for capability in ("chat", "stream", "tools", "structured", "api key"):
            result = tried(kind(), capability)
            package = kind.package
            found_version = (
                os.environ["AWS_CLI_VERSION"] if package == "awscli" else version(package)
            )
            row = {"client": package, "version": found_version, "kind": ENDPOINT["kind"]}
            sys.stdout.write(json.dumps({**row, "capability": capability, "result": result}) + "\n")


main()
