"""HTTP/2 and HTTP/1.1 on the same port: with prior knowledge, as the AWS SDK for JavaScript v3 connects to `http://`.

Over TLS it is negotiated: `test_enforce_iam.py`.
"""

import asyncio
import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from botocore.eventstream import EventStreamBuffer
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from tests.sandbox.samples import A_JOB

AUTHORIZATION = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/bedrock/aws4_request"
}
MICRO = quote("us.amazon.nova-micro-v1:0", safe="")
QUESTION = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


@pytest.fixture
def client(sandbox):
    """Return a client that uses HTTP/2 with prior knowledge on one connection."""
    url = sandbox.variables()["AWS_ENDPOINT_URL_BEDROCK"]
    with httpx.Client(
        http1=False,
        http2=True,
        base_url=url,
        headers=AUTHORIZATION,
        limits=httpx.Limits(max_connections=1),
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def key():
    return {"Authorization": "Bearer sk-tunestack-sandbox"}


def test_http2_and_http1_are_answered_on_the_same_port(sandbox, client):
    answers = [client.get("/custom-models"), httpx.get(client.base_url.join("/custom-models"))]
    assert [answer.http_version for answer in answers] == ["HTTP/2", "HTTP/1.1"]
    second, first = client.get("/custom-models"), answers[0]
    assert {"modelSummaries": []} == first.json() == second.json()
    assert str(len(first.content)) == first.headers["content-length"]
    assert f"{sandbox.clock.now():%a, %d %b %Y}" in first.headers["date"]


def test_an_arn_keeps_its_escaped_slashes_over_http2(client):
    arn = quote("arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/0123456789ab", "")
    answer = client.get(f"/model-customization/custom-model-deployments/{arn}")
    assert (
        answer.status_code,
        answer.headers["x-amzn-errortype"],
    ) == (404, "ResourceNotFoundException")


def test_requests_share_a_connection(client):
    """Use one thread, because threads that share a connection of httpx sometimes send invalid frames."""

    async def send_all():
        async with httpx.AsyncClient(
            http1=False,
            http2=True,
            base_url=client.base_url,
            headers=AUTHORIZATION,
            limits=httpx.Limits(max_connections=1),
            trust_env=False,
        ) as shared:
            return await asyncio.gather(*(shared.get("/custom-models") for _ in range(200)))

    assert {answer.status_code for answer in asyncio.run(send_all())} == {200}


def test_bodies_larger_than_the_flow_control_window_arrive_both_ways(client, key):
    row = (
        b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    )
    content = row * 10_000
    assert len(content) > 10 * 65_535
    sent = client.post(
        "/v1/files",
        headers=key,
        data={"purpose": "fine-tune"},
        files={"file": ("rows.jsonl", content)},
    ).json()
    assert len(content) == sent["bytes"]
    assert content == client.get(f"/v1/files/{sent['id']}/content", headers=key).content


def test_a_lost_reply_closes_the_connection_after_the_effect(sandbox, client, job_request, bedrock):
    sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/model-customization-jobs", json=job_request())
    (row,) = bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"]
    assert row["jobName"] == "job"
    assert client.get("/custom-models").status_code == 200


def test_a_client_that_leaves_in_the_middle_of_a_request_changes_nothing(sandbox, client, bedrock):
    def body():
        yield b"{"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.post("/model-customization-jobs", content=body())
    assert bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


@pytest.mark.parametrize("sent", [b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense" + b"x" * 99])
def test_invalid_http2_closes_only_its_own_connection(sandbox, client, sent):
    host, port = urlsplit(str(client.base_url)).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as broken:
        broken.sendall(sent)
        broken.shutdown(socket.SHUT_WR)
        while broken.recv(1000):
            pass
    assert client.get("/custom-models").status_code == 200


def test_the_events_of_a_stream_are_sent_one_by_one(sandbox, client):
    path = f"/model/{MICRO}/converse-stream"
    with client.stream("POST", path, json=QUESTION) as answer:
        parts = list(answer.iter_raw())
    assert "content-length" not in answer.headers
    buffer: Any = EventStreamBuffer()
    buffer.add_data(b"".join(parts))
    kinds = [event.headers[":event-type"] for event in buffer]
    assert kinds[0] == "messageStart"
    assert kinds[-1] == "metadata"
    assert len(kinds) == len(parts)
    connection = http.client.HTTPConnection(urlsplit(str(client.base_url)).netloc)
    connection.request("POST", path, json.dumps(QUESTION), AUTHORIZATION)
    over_http1 = connection.getresponse()
    assert over_http1.headers["Transfer-Encoding"] == "chunked"
    assert b"".join(parts) == over_http1.read()
    connection.request("GET", "/custom-models", headers=AUTHORIZATION)
    assert b"modelSummaries" in connection.getresponse().read()
    connection.close()


def test_a_fine_tuned_model_answers_over_http2(sandbox, client, bedrock, model):
    made = bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)
    sandbox.clock.advance(A_JOB)
    arn = quote(made["customModelDeploymentArn"], safe="")
    answer = client.post(f"/model/{arn}/converse", json=QUESTION)
    assert answer.json()["output"]["message"]["content"][0]["text"]


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_small_parts_are_sent_without_delay(sandbox, client, version):
    """Without TCP_NODELAY, each response and stream over HTTP/2 waits 40 ms for an acknowledgement."""
    http2 = version == "HTTP/2"
    with httpx.Client(
        http1=not http2,
        http2=http2,
        base_url=client.base_url,
        headers=AUTHORIZATION,
        trust_env=False,
    ) as other:
        other.get("/custom-models")
        durations: list[float] = []
        while len(durations) < 200 and min(durations, default=1.0) >= 0.035:
            before = time.perf_counter()
            other.post(f"/model/{MICRO}/converse-stream", json=QUESTION)
            durations.append(time.perf_counter() - before)
    assert min(durations) < 0.035


def test_an_open_request_is_answered_after_goaway_of_the_client(sandbox):
    """The AWS SDK for JavaScript v3 sends GOAWAY after the headers, before the body has arrived."""
    sandbox.faults.add("slow", operation="ListCustomModels", seconds=0.3, times=1)
    host, port = sandbox.admin_url.split("/")[2].split(":")
    protocol = H2Connection(H2Configuration(client_side=True))
    protocol.initiate_connection()
    fields = {":method": "GET", ":scheme": "http", ":authority": "x", ":path": "/custom-models"}
    headers = {**fields, "authorization": AUTHORIZATION["Authorization"]}
    protocol.send_headers(1, list(headers.items()), end_stream=True)
    open_request = protocol.data_to_send()
    goaway = b"\0\0\x08\x07\0\0\0\0\0" + b"\0" * 8
    body, ended = b"", False
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(open_request + goaway)
        while not ended:
            received = client.recv(65_535)
            assert received, "the connection was closed"
            for event in protocol.receive_data(received):
                body += event.data if isinstance(event, DataReceived) else b""
                ended = ended or isinstance(event, StreamEnded)
    assert json.loads(body) == {"modelSummaries": []}
