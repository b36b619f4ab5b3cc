"""The S3 location of data, and the resolution of the deployment."""

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


class TestS3Path:
    """The argument `s3_path` sets the location of the uploaded data."""

    def test_file_in_a_folder_is_named_by_its_content(self, tuner, chat, sandbox):
        folder = f"{sandbox.deployment().data_locations[0]}team/"
        job = tuner.submit("nova-micro", chat, s3_path=folder)
        assert job.refresh().training_data.startswith(folder)
        assert job.wait().model

    def test_file_location_is_used_unchanged(self, tuner, chat, sandbox):
        location = f"{sandbox.deployment().data_locations[0]}team/train-1.jsonl"
        job = tuner.submit("nova-micro", chat, s3_path=location)
        assert location == job.refresh().training_data
        assert job.id == tuner.submit("nova-micro", chat, s3_path=location).id

    def test_other_data_is_never_overwritten(self, tuner, chat, sandbox, list_training_files):
        location = f"{sandbox.deployment().data_locations[0]}team/train-2.jsonl"
        tuner.submit("nova-micro", chat, s3_path=location)
        with pytest.raises(ConflictError, match="contains other data"):
            tuner.submit("nova-micro", chat[:-1], s3_path=location)
        assert len(list(tuner.jobs())) == 1

    def test_one_file_location_for_two_files_is_rejected(
        self, tuner, chat, sandbox, list_training_files
    ):
        location = f"{sandbox.deployment().data_locations[0]}two/train.jsonl"
        before = list_training_files()
        with pytest.raises(ConfigError, match="use a folder"):
            tuner.submit("nova-micro", chat, s3_path=location, validation_data=chat[:1])
        assert before == list_training_files()

    @pytest.mark.parametrize("location", ["s3://elsewhere/team/", "{bucket}/tunestack/outputs/"])
    def test_location_that_the_job_role_can_not_read_is_rejected(
        self, tuner, chat, sandbox, location
    ):
        bucket = f"s3://{sandbox.deployment().data_bucket}"
        with pytest.raises(
            ConfigError, match="is not allowed to read s3_path .*: use a location below s3://"
        ):
            tuner.submit("nova-micro", chat, s3_path=location.format(bucket=bucket))

    @pytest.mark.parametrize(
        "location", ["team/", "s3://b/dt=1/", "s3://B/x", "s3://bucket//x", "s3://bucket/a b"]
    )
    def test_location_that_bedrock_rejects_is_rejected(self, tuner, chat, location):
        with pytest.raises(ConfigError, match="invalid S3 location"):
            tuner.submit("nova-micro", chat, s3_path=location)


class TestDiscovery:
    """The deployment is read from the argument, the environment or the SSM parameter, in this order."""

    @pytest.fixture
    def no_deployment(self, sandbox, monkeypatch):
        for name in sandbox.deployment().environment():
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        return monkeypatch

    def test_ssm_parameter_is_read_without_variables(self, no_deployment, poll, chat, requests):
        before = requests.sdk_counts.copy()
        assert Tuner(poll=poll).submit("nova-micro", chat).id.split(":")[3] == "us-east-1"
        assert Tuner(poll=poll).submit("llama-3-2-1b", chat * 5).id.split(":")[3] == "us-west-2"
        assert ("ssm", "GetParameter") in requests.sdk_counts - before

    def test_bucket_role_and_region_are_sufficient(self, no_deployment, sandbox, poll, chat):
        deployment = sandbox.deployment()
        no_deployment.setenv("DSPY_BEDROCK_S3_BUCKET", deployment.data_bucket)
        no_deployment.setenv("DSPY_BEDROCK_ROLE_ARN", deployment.job_role_arn)
        no_deployment.setenv("AWS_REGION", "us-east-1")
        no_deployment.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
        job = Tuner(poll=poll).submit("nova-micro", chat).wait()
        job.start_endpoint()
        assert job.endpoint().invoke("What is number 7?") == "It is 7."
        job.stop_endpoint()

    def test_argument_takes_precedence_over_the_environment(self, sandbox, chat, poll):
        west = sandbox.deployment("us-west-2")
        job = Tuner(deployment=west, poll=poll).submit("llama-3-2-1b", chat * 5)
        assert ":us-west-2:" in job.id
        job = Tuner(region="us-west-2", poll=poll).submit("llama-3-2-3b", chat * 5)
        assert ":us-west-2:" in job.id

    def test_region_can_be_an_argument_or_from_the_session(self, no_deployment, sandbox, chat):
        deployment = sandbox.deployment()
        no_deployment.setenv("DSPY_BEDROCK_S3_BUCKET", deployment.data_bucket)
        no_deployment.setenv("DSPY_BEDROCK_ROLE_ARN", deployment.job_role_arn)
        no_deployment.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
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
    def test_invalid_setting_raises_config_error(self, sandbox, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError):
            list(Tuner().jobs())

    @pytest.mark.as_root
    def test_error_about_a_missing_deployment_has_all_options(self, no_deployment, chat):
        with pytest.raises(
            DeploymentError, match="(?s)cdk deploy.*TUNESTACK_DEPLOYMENT.*DSPY_BEDROCK_S3_BUCKET"
        ):
            Tuner("prod").submit("nova-micro", chat)

    def test_model_that_the_stage_does_not_allow_is_rejected(self, sandbox, chat):
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

    def test_every_s3_request_has_the_expected_bucket_owner(self, sandbox, chat, requests):
        """The emulator ignores the expected owner, so this test checks the requests."""
        sent = []
        session = boto3.Session()
        session.events.register(
            "before-parameter-build.s3", lambda params, **_: sent.append(params)
        )
        Tuner(session=session).submit("nova-micro", chat, name="owner").metrics()
        assert len(sent) >= 2
        assert {sandbox.deployment().account} == {row.get("ExpectedBucketOwner") for row in sent}

    @pytest.mark.as_root
    def test_additional_location_has_the_bucket_owner_of_the_stage(self, sandbox, chat, requests):
        """The owner is sent for uploaded data and for data that exists in S3."""
        other_account = "210987654321"
        deployment_of_sandbox = sandbox.deployment()
        boto3.client("s3").create_bucket(Bucket="curated")
        location = "s3://curated/tickets/train.jsonl"
        deployment = dataclasses.replace(
            deployment_of_sandbox,
            data_locations=(*deployment_of_sandbox.data_locations, "s3://curated/tickets/"),
            data_owners=(deployment_of_sandbox.account, other_account),
        )
        sent = []
        session = boto3.Session()
        session.events.register(
            "before-parameter-build.s3", lambda params, **_: sent.append(params)
        )
        tuner = Tuner(session=session, deployment=deployment)
        tuner.submit("nova-micro", chat, s3_path=location)
        tuner.submit("nova-micro", location, hyperparameters={"epochCount": 3})
        owners = {(row["Bucket"], row["ExpectedBucketOwner"]) for row in sent}
        assert {
            ("curated", other_account),
            (deployment_of_sandbox.data_bucket, deployment_of_sandbox.account),
        } == owners

    @pytest.mark.as_root
    def test_missing_credentials_raise_access_error(self, sandbox, monkeypatch, chat):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        with pytest.raises(AccessError, match="aws sts get-caller-identity"):
            list(Tuner().jobs())
