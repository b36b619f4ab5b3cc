"""Large files go up in parts: whole and checked, or not at all."""

import hashlib

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tunestack.backends.bedrock import multipart
from tunestack.backends.bedrock.s3 import Location, Store
from tunestack.errors import ConflictError, NetworkError

MIB = 2**20


@pytest.fixture
def place(sandbox):
    deployment = sandbox.deployment()
    return Location(deployment.data_bucket, f"{deployment.datasets_prefix}large.jsonl")


@pytest.fixture
def bucket(place):
    s3 = boto3.client("s3")
    yield s3
    s3.delete_object(Bucket=place.bucket, Key=place.key)


@pytest.fixture
def store(sandbox):
    """A store, and what it calls, with its arguments."""
    session, called = boto3.Session(), []

    def note(params, model, **_):
        called.append((model.name, params))

    session.events.register("before-parameter-build.s3", note)
    return Store(session.client("s3"), sandbox.deployment().account), called, session


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of three parts, the last of them short."""
    monkeypatch.setattr(multipart, "PART_BYTES", 5 * MIB)
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"".join(b"%020d\n" % number for number in range(600_000)))
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_is_there_as_it_was_and_only_once(store, file, place, bucket):
    store, called, _ = store
    store.put(file, place, sha256=digest(file))
    names = [name for name, _ in called]
    assert names.count("UploadPart") == 3
    assert file.read_bytes() == bucket.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
    called.clear()
    store.put(file, place, sha256=digest(file))
    assert [name for name, _ in called] == ["HeadObject"]


def test_every_call_names_the_owner_of_the_bucket(store, file, place, bucket, sandbox):
    store, called, _ = store
    store.put(file, place, sha256=digest(file))
    assert {sandbox.deployment().account} == {params["ExpectedBucketOwner"] for _, params in called}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (EndpointConnectionError(endpoint_url="https://s3"), NetworkError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["network", "Ctrl-C"],
)
def test_what_is_interrupted_leaves_nothing_and_can_be_done_again(
    store, file, place, bucket, error, raised, monkeypatch
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store, called, _ = store

    def broken(request, **_):
        if b"partNumber=2" in request.url.encode():
            raise error

    store._client.meta.events.register_first("before-send.s3.UploadPart", broken)
    with pytest.raises(raised):
        store.put(file, place, sha256=digest(file))
    assert "AbortMultipartUpload" in [name for name, _ in called]
    assert not bucket.list_multipart_uploads(Bucket=place.bucket).get("Uploads")
    assert "Contents" not in bucket.list_objects_v2(Bucket=place.bucket, Prefix=place.key)
    store._client.meta.events.unregister("before-send.s3.UploadPart", broken)
    store.put(file, place, sha256=digest(file))
    assert (
        file.stat().st_size
        == bucket.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"]
    )


def test_other_data_is_not_overwritten_even_if_it_comes_meanwhile(store, file, place, bucket):
    store, _, _ = store

    def somebody(**_):
        bucket.put_object(Bucket=place.bucket, Key=place.key, Body=b"theirs")

    store._client.meta.events.register_first("before-call.s3.CompleteMultipartUpload", somebody)
    with pytest.raises(ConflictError, match="contains other data"):
        store.put(file, place, sha256=digest(file))
    assert bucket.get_object(Bucket=place.bucket, Key=place.key)["Body"].read() == b"theirs"
    with pytest.raises(ConflictError, match="contains other data"):
        store.put(file, place, sha256=digest(file))


def test_what_went_up_in_one_piece_is_the_same_in_parts(store, file, place, bucket, monkeypatch):
    """The size of a part is this version's own business."""
    store, called, _ = store
    monkeypatch.setattr(multipart, "PART_BYTES", 64 * MIB)
    store.put(file, place, sha256=digest(file))
    monkeypatch.setattr(multipart, "PART_BYTES", 5 * MIB)
    called.clear()
    store.put(file, place, sha256=digest(file))
    assert [name for name, _ in called] == ["HeadObject"]
