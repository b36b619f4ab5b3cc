"""Large files are uploaded in parts, completely and verified, or not at all."""

import hashlib

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tunestack.backends.bedrock import multipart
from tunestack.backends.bedrock.s3 import Location, Store
from tunestack.errors import ConflictError, NetworkError

MIB = 2**20


@pytest.fixture
def location(sandbox):
    deployment = sandbox.deployment()
    return Location(deployment.data_bucket, f"{deployment.datasets_prefix}large.jsonl")


@pytest.fixture
def bucket(location):
    s3 = boto3.client("s3")
    yield s3
    s3.delete_object(Bucket=location.bucket, Key=location.key)


@pytest.fixture
def store(sandbox):
    """Return a store, a list that records its requests, and its session."""
    session, calls = boto3.Session(), []

    def record(params, model, **_):
        calls.append((model.name, params))

    session.events.register("before-parameter-build.s3", record)
    return Store(session.client("s3"), sandbox.deployment().account), calls, session


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Create a file of three parts, the last of which is smaller."""
    monkeypatch.setattr(multipart, "PART_BYTES", 5 * MIB)
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"".join(b"%020d\n" % number for number in range(600_000)))
    return path


def hash_file(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_is_uploaded_unchanged_and_only_once(store, file, location, bucket):
    store, calls, _ = store
    store.put(file, location, sha256=hash_file(file))
    names = [name for name, _ in calls]
    assert names.count("UploadPart") == 3
    assert (
        file.read_bytes()
        == bucket.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
    )
    calls.clear()
    store.put(file, location, sha256=hash_file(file))
    assert [name for name, _ in calls] == ["HeadObject"]


def test_every_request_has_the_expected_bucket_owner(store, file, location, bucket, sandbox):
    store, calls, _ = store
    store.put(file, location, sha256=hash_file(file))
    assert {sandbox.deployment().account} == {params["ExpectedBucketOwner"] for _, params in calls}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (EndpointConnectionError(endpoint_url="https://s3"), NetworkError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["network", "Ctrl-C"],
)
def test_interrupted_upload_is_removed_and_can_be_repeated(
    store, file, location, bucket, error, raised, monkeypatch
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store, calls, _ = store

    def fail_second_part(request, **_):
        if b"partNumber=2" in request.url.encode():
            raise error

    store._client.meta.events.register_first("before-send.s3.UploadPart", fail_second_part)
    with pytest.raises(raised):
        store.put(file, location, sha256=hash_file(file))
    assert "AbortMultipartUpload" in [name for name, _ in calls]
    assert not bucket.list_multipart_uploads(Bucket=location.bucket).get("Uploads")
    assert "Contents" not in bucket.list_objects_v2(Bucket=location.bucket, Prefix=location.key)
    store._client.meta.events.unregister("before-send.s3.UploadPart", fail_second_part)
    store.put(file, location, sha256=hash_file(file))
    assert (
        file.stat().st_size
        == bucket.head_object(Bucket=location.bucket, Key=location.key)["ContentLength"]
    )


def test_concurrently_uploaded_other_data_is_not_overwritten(store, file, location, bucket):
    store, _, _ = store

    def put_other_data(**_):
        bucket.put_object(Bucket=location.bucket, Key=location.key, Body=b"other")

    store._client.meta.events.register_first(
        "before-call.s3.CompleteMultipartUpload", put_other_data
    )
    with pytest.raises(ConflictError, match="contains other data"):
        store.put(file, location, sha256=hash_file(file))
    assert bucket.get_object(Bucket=location.bucket, Key=location.key)["Body"].read() == b"other"
    with pytest.raises(ConflictError, match="contains other data"):
        store.put(file, location, sha256=hash_file(file))


def test_file_is_not_uploaded_again_with_another_part_size(
    store, file, location, bucket, monkeypatch
):
    """Another version of the SDK can use another part size."""
    store, calls, _ = store
    monkeypatch.setattr(multipart, "PART_BYTES", 64 * MIB)
    store.put(file, location, sha256=hash_file(file))
    monkeypatch.setattr(multipart, "PART_BYTES", 5 * MIB)
    calls.clear()
    store.put(file, location, sha256=hash_file(file))
    assert [name for name, _ in calls] == ["HeadObject"]
