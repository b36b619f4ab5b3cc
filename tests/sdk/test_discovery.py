"""Where data goes, and how the deployment is found, on the sandbox."""

import dataclasses
import os

import boto3
import pytest

from tunestack import Deployment, Tuner
from tunestack.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    DeploymentError,
    ModelError,
)


class TestPlaces:
    """`s3_path` puts the data where the caller says."""

    def test_a_folder_gets_the_file_named_by_its_content(self, tuner, chat, sandbox):
        folder = f"{sandbox.deployment().data_locations[0]}mine/"
        job = tuner.submit("nova-micro", chat, s3_path=folder)
        assert job.refresh().training_data.startswith(folder)
        assert job.wait().model

    def test_a_file_is_the_place_itself(self, tuner, chat, sandbox):
        place = f"{sandbox.deployment().data_locations[0]}mine/train-1.jsonl"
        job = tuner.submit("nova-micro", chat, s3_path=place)
        assert place == job.refresh().training_data
        assert job.id == tuner.submit("nova-micro", chat, s3_path=place).id

    def test_other_data_at_that_place_is_never_overwritten(self, tuner, chat, sandbox, objects):
        place = f"{sandbox.deployment().data_locations[0]}mine/train-2.jsonl"
        tuner.submit("nova-micro", chat, s3_path=place)
        with pytest.raises(ConflictError, match="contains other data"):
            tuner.submit("nova-micro", chat[:-1], s3_path=place)
        assert len(list(tuner.jobs())) == 1

    def test_one_file_is_no_place_for_two(self, tuner, chat, sandbox, objects):
        place = f"{sandbox.deployment().data_locations[0]}two/train.jsonl"
        before = objects()
        with pytest.raises(ConfigError, match="use a folder"):
            tuner.submit("nova-micro", chat, s3_path=place, validation_data=chat[:1])
        assert before == objects()

    @pytest.mark.parametrize("place", ["s3://elsewhere/mine/", "{bucket}/tunestack/outputs/"])
    def test_where_the_job_role_may_not_read_is_refused(self, tuner, chat, sandbox, place):
        bucket = f"s3://{sandbox.deployment().data_bucket}"
        with pytest.raises(
            ConfigError, match="is not allowed to read s3_path .*: use a location below s3://"
        ):
            tuner.submit("nova-micro", chat, s3_path=place.format(bucket=bucket))

    @pytest.mark.parametrize(
        "place", ["mine/", "s3://b/dt=1/", "s3://B/x", "s3://bucket//x", "s3://bucket/a b"]
    )
    def test_what_bedrock_would_refuse_is_refused(self, tuner, chat, place):
        with pytest.raises(ConfigError, match="invalid S3 location"):
            tuner.submit("nova-micro", chat, s3_path=place)


class TestDiscovery:
    """Argument, environment, SSM parameter: in this order."""

    @pytest.fixture
    def bare(self, sandbox, monkeypatch):
        for name in sandbox.deployment().environment():
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        return monkeypatch

    def test_the_ssm_parameter_is_found_with_nothing_set(self, bare, poll, chat, requests):
        before = requests.seen.copy()
        assert Tuner(poll=poll).submit("nova-micro", chat).id.split(":")[3] == "us-east-1"
        assert Tuner(poll=poll).submit("llama-3-2-1b", chat * 5).id.split(":")[3] == "us-west-2"
        assert ("ssm", "GetParameter") in requests.seen - before

    def test_the_bucket_the_role_and_a_region_are_enough(self, bare, sandbox, poll, chat):
        deployment = sandbox.deployment()
        bare.setenv("DSPY_BEDROCK_S3_BUCKET", deployment.data_bucket)
        bare.setenv("DSPY_BEDROCK_ROLE_ARN", deployment.job_role_arn)
        bare.setenv("AWS_REGION", "us-east-1")
        bare.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
        job = Tuner(poll=poll).submit("nova-micro", chat).wait()
        job.start_endpoint()
        assert job.endpoint().invoke("What is number 7?") == "It is 7."
        job.stop_endpoint()

    def test_the_argument_counts_more_than_the_environment(self, sandbox, chat, poll):
        west = sandbox.deployment("us-west-2")
        job = Tuner(deployment=west, poll=poll).submit("llama-3-2-1b", chat * 5)
        assert ":us-west-2:" in job.id
        job = Tuner(region="us-west-2", poll=poll).submit("llama-3-2-3b", chat * 5)
        assert ":us-west-2:" in job.id

    def test_two_variables_and_a_region_from_anywhere_are_enough(self, bare, sandbox, chat):
        deployment = sandbox.deployment()
        bare.setenv("DSPY_BEDROCK_S3_BUCKET", deployment.data_bucket)
        bare.setenv("DSPY_BEDROCK_ROLE_ARN", deployment.job_role_arn)
        bare.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
        assert Tuner(region="us-east-1").submit("nova-micro", chat[:12]).id
        session = boto3.Session(region_name="us-east-1")
        assert Tuner(session=session).submit("nova-micro", chat[:13]).id

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AWS_PROFILE", "nope"),
            ("AWS_ENDPOINT_URL_BEDROCK", "no url"),
            ("AWS_REGION", "us east 1!"),
        ],
    )
    def test_a_setting_that_is_wrong_is_one_clear_error(self, sandbox, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError):
            list(Tuner().jobs())

    @pytest.mark.as_root
    def test_a_stage_that_is_not_deployed_says_every_way_out(self, bare, chat):
        with pytest.raises(
            DeploymentError, match="(?s)cdk deploy.*TUNESTACK_DEPLOYMENT.*DSPY_BEDROCK_S3_BUCKET"
        ):
            Tuner("prod").submit("nova-micro", chat)

    def test_a_model_that_the_stage_does_not_allow_is_refused(self, sandbox, chat):
        deployment = sandbox.deployment()
        allowed = Deployment(
            **{
                name: getattr(deployment, name)
                for name in ("region", "account", "data_bucket", "job_role_arn")
            },
            base_models=("nova-lite",),
        )
        with pytest.raises(ModelError, match="does not allow Nova Micro"):
            Tuner(deployment=allowed).submit("nova-micro", chat)

    def test_a_bucket_of_another_account_is_never_written_to(self, sandbox, chat, requests):
        """The emulator ignores the expected owner, so what is sent is what counts."""
        sent = []
        session = boto3.Session()
        session.events.register(
            "before-parameter-build.s3", lambda params, **_: sent.append(params)
        )
        Tuner(session=session).submit("nova-micro", chat, name="owner").metrics()
        assert len(sent) >= 2
        assert {sandbox.deployment().account} == {row.get("ExpectedBucketOwner") for row in sent}

    @pytest.mark.as_root
    def test_a_further_place_belongs_to_whom_the_stage_says(self, sandbox, chat, requests):
        """For data that is put there, and for data that is there."""
        theirs = "210987654321"
        mine = sandbox.deployment()
        boto3.client("s3").create_bucket(Bucket="curated")
        place = "s3://curated/tickets/train.jsonl"
        deployment = dataclasses.replace(
            mine,
            data_locations=(*mine.data_locations, "s3://curated/tickets/"),
            data_owners=(mine.account, theirs),
        )
        sent = []
        session = boto3.Session()
        session.events.register(
            "before-parameter-build.s3", lambda params, **_: sent.append(params)
        )
        tuner = Tuner(session=session, deployment=deployment)
        tuner.submit("nova-micro", chat, s3_path=place)
        tuner.submit("nova-micro", place, hyperparameters={"epochCount": 3})
        asked = {(row["Bucket"], row["ExpectedBucketOwner"]) for row in sent}
        assert {("curated", theirs), (mine.data_bucket, mine.account)} == asked

    @pytest.mark.as_root
    def test_no_credentials_is_one_clear_error(self, sandbox, monkeypatch, chat):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        with pytest.raises(AccessError, match="aws sts get-caller-identity"):
            list(Tuner().jobs())
