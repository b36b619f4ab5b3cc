"""Settings in common wrong notations are accepted, or rejected with the right value."""

import logging

import pytest

from tunestack import Tuner
from tunestack.backends.base import Verdict
from tunestack.cli.commands import run
from tunestack.errors import ConfigError, DeploymentError, ModelError

BUCKET, ROLE = "DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN"


@pytest.fixture
def set_variables(sandbox, monkeypatch):
    """Return a function that sets only the variables of the bucket and the role, with changes."""
    deployment = sandbox.deployment()
    monkeypatch.delenv("TUNESTACK_DEPLOYMENT")
    monkeypatch.delenv("TUNESTACK_STAGE")

    def set_all(**changes):
        values = {BUCKET: deployment.data_bucket, ROLE: deployment.job_role_arn}
        for name, value in (values | changes).items():
            monkeypatch.setenv(
                name, value.format(bucket=deployment.data_bucket, role=deployment.job_role_arn)
            )
        return deployment

    return set_all


def index_by_name(checks):
    return {check.name.split()[0]: check for check in checks}


@pytest.mark.parametrize(
    "text",
    [
        "s3://{bucket}",
        "s3://{bucket}/",
        "arn:aws:s3:::{bucket}",
        "{bucket}/",
        '"{bucket}"',
        "'{bucket}'",
        " {bucket}\n",
        '"s3://{bucket}/"',
        "\u201c{bucket}\u201d",
    ],
)
def test_bucket_in_another_notation_is_accepted(set_variables, poll, chat, text):
    deployment = set_variables(**{BUCKET: text})
    job = Tuner(poll=poll).submit("nova-micro", chat)
    training_data = job.refresh().training_data
    assert training_data is not None
    assert training_data.startswith(f"s3://{deployment.data_bucket}/")
    assert Verdict.PASS is index_by_name(Tuner(poll=poll).preflight("nova-micro"))["bucket"].verdict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "s3://{bucket}/train",
            r"prefix 'train' after the bucket: set DSPY_BEDROCK_S3_BUCKET={bucket}, and specify s3_path",
        ),
        ("arn:aws:s3:::{bucket}/train/*", "set DSPY_BEDROCK_S3_BUCKET={bucket}, "),
        (
            "https://{bucket}.s3.us-east-1.amazonaws.com/",
            "it is a URL: set DSPY_BEDROCK_S3_BUCKET={bucket}",
        ),
        ("My_Bucket", "'My_Bucket': set it to the name of a bucket .3 to 63 lower-case"),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/mine", "set it to the name of a bucket"),
    ],
)
def test_invalid_bucket_is_rejected_before_the_upload(
    set_variables, poll, chat, list_training_files, text, message
):
    deployment = set_variables(**{BUCKET: text})
    before = list_training_files()
    with pytest.raises(DeploymentError, match=message.format(bucket=deployment.data_bucket)):
        Tuner(poll=poll).submit("nova-micro", chat)
    assert before == list_training_files()
    check = index_by_name(Tuner(poll=poll).preflight("nova-micro"))["deployment"]
    assert (check.verdict, check.fix) == (Verdict.FAIL, "change that setting")


@pytest.mark.parametrize("text", ['"{role}"', "'{role}'", "{role}\n", "\t{role} "])
def test_quotes_and_spaces_around_a_role_are_removed(set_variables, poll, chat, text):
    set_variables(**{ROLE: text})
    assert Tuner(poll=poll).submit("nova-micro", chat).wait().model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "MyRole",
            "name of the role: set DSPY_BEDROCK_ROLE_ARN=arn:aws:iam::<account>:role/MyRole",
        ),
        (
            "arn:aws:sts::123456789012:assumed-role/MyRole/me",
            "session of the role: set DSPY_BEDROCK_ROLE_ARN=arn:aws:iam::123456789012:role/MyRole",
        ),
        ("arn:aws:iam::123456789012:user/me", "set it to arn:aws:iam::<account>:role/<name>"),
    ],
)
def test_invalid_role_is_rejected(set_variables, poll, chat, text, message):
    set_variables(**{ROLE: text})
    with pytest.raises(DeploymentError, match=message):
        Tuner(poll=poll).submit("nova-micro", chat)
    check = index_by_name(Tuner(poll=poll).preflight("nova-micro"))["deployment"]
    assert Verdict.FAIL is check.verdict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "us-east-1a",
            "invalid AWS_REGION 'us-east-1a': it is an availability zone: set AWS_REGION=us-east-1",
        ),
        ("us-east-1-bos-1a", "availability zone: set AWS_REGION=us-east-1$"),
        ('"us-east-1"', "set AWS_REGION=us-east-1$"),
        ("us-east-1\n", "set AWS_REGION=us-east-1$"),
        ("US_EAST_1", "set AWS_REGION=us-east-1$"),
        ("Virginia", "set it to the code of an AWS region, such as us-east-1"),
    ],
)
def test_invalid_region_is_rejected(set_variables, poll, chat, monkeypatch, capsys, text, message):
    set_variables(AWS_REGION=text)
    with pytest.raises(ConfigError, match=message):
        Tuner(poll=poll).submit("nova-micro", chat)
    (check,) = Tuner(poll=poll).preflight("nova-micro")
    assert (check.name, check.verdict) == ("region", Verdict.FAIL)
    assert run(["doctor"]) == 1
    assert "FAILS    region: invalid AWS_REGION" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=message.replace("AWS_REGION", "region")):
        Tuner(region=text)


def test_region_of_a_profile_is_checked(set_variables, poll, monkeypatch, tmp_path):
    set_variables()
    (tmp_path / "config").write_text("[default]\nregion = us-east-1a\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigError, match="invalid region of the AWS profile 'us-east-1a'"):
        Tuner(poll=poll).job("x")


@pytest.mark.parametrize("text", ['"dev"', " dev\n"])
def test_quotes_and_spaces_around_a_stage_are_removed(sandbox, monkeypatch, poll, chat, text):
    for name in sandbox.deployment().environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNESTACK_STAGE", text)
    assert Tuner(poll=poll, region="us-east-1").submit("nova-micro", chat)


def test_quoted_document_from_docker_is_accepted(sandbox, monkeypatch, poll, chat):
    monkeypatch.setenv("TUNESTACK_DEPLOYMENT", f"'{sandbox.deployment().to_json()}'")
    assert Tuner(poll=poll).submit("nova-micro", chat)


class TestRegionInName:
    """The region in `bedrock/us-west-2/...` is used, unless `region=` is given."""

    def test_region_in_a_name_takes_precedence_over_the_environment(
        self, sandbox, poll, completions, caplog
    ):
        with caplog.at_level(logging.INFO, "tunestack"):
            job = Tuner(poll=poll).submit(
                "bedrock/us-west-2/meta.llama3-1-8b-instruct-v1:0", completions
            )
        assert job.id.split(":")[3] == "us-west-2"
        assert "using us-west-2, the region in 'bedrock/us-west-2/" in caplog.text

    def test_region_of_an_arn_is_used(self, sandbox, poll, completions):
        name = "bedrock/arn:aws:bedrock:us-west-2::foundation-model/meta.llama3-1-8b-instruct-v1:0"
        assert Tuner(poll=poll).submit(name, completions).id.split(":")[3] == "us-west-2"

    def test_argument_takes_precedence_over_the_region_in_a_name(self, tuner, sandbox, poll, chat):
        tuner = Tuner(region="us-east-1", poll=poll)
        job = tuner.submit("bedrock/us-west-2/us.amazon.nova-micro-v1:0", chat)
        assert job.id.split(":")[3] == "us-east-1"

    @pytest.mark.parametrize("region", ["us-west-2", "us-gov-west-1"])
    def test_error_about_a_wrong_region_in_a_name_suggests_the_argument(self, tuner, chat, region):
        name = f"bedrock/{region}/amazon.nova-micro-v1:0"
        message = (
            rf"in {region} \(the region in '{name}'\), only in us-east-1: set region=\"us-east-1\";"
        )
        with pytest.raises(ModelError, match=message):
            tuner.submit(name, chat)
        checks = index_by_name(tuner.preflight(name))
        failed = checks.get("model", checks["deployment"])
        assert Verdict.FAIL is failed.verdict
