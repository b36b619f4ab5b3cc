"""What goes wrong where credentials are found is an error of ours, which says where to look."""

import pytest

from tunestack import Tuner
from tunestack.backends.base import Verdict
from tunestack.cli.commands import run
from tunestack.errors import AccessError, ConfigError

ROLE = "role_arn = arn:aws:iam::123456789012:role/x"
PROCESSES = {
    "fails": "false",
    "is missing": "/no/such/program",
    "may not be executed": "/etc/passwd",
    "is empty": "",
    "has no closing quote": '"x',
    "prints nothing": "true",
    "prints no JSON": "echo hello",
    "prints a list": "echo '[]'",
    "prints other bytes": r"printf \\377",
    "prints no version": "echo '{}'",
    "prints no key": """echo '{"Version": 1}'""",
    "prints half of a key": """echo '{"Version": 1, "AccessKeyId": "a"}'""",
    "prints null": """echo '{"Version": 1, "AccessKeyId": null, "SecretAccessKey": null}'""",
    "prints numbers": """echo '{"Version": 1, "AccessKeyId": 1, "SecretAccessKey": 2}'""",
    "prints no time": """echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "soon"}'""",
}


@pytest.fixture
def config(sandbox, monkeypatch, tmp_path):
    """The configuration file is the only source of credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


def refused(kind, words):
    """The error of a call, and what doctor says of the same."""
    with pytest.raises(kind, match=words) as caught:
        Tuner().job("x")
    assert str(caught.value).count(": check ") == 1
    first = Tuner().preflight("nova-micro")[0]
    assert (first.name, first.verdict) == ("credentials", Verdict.FAIL)
    assert run(["doctor", "-m", "nova-micro"]) == 1


@pytest.mark.parametrize("way", PROCESSES)
def test_a_credential_process_that(config, way):
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = {PROCESSES[way]}\n")
    refused(AccessError, "(?i)credentials|custom-process")


def test_a_token_file_that_is_missing(config, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    refused(AccessError, "FileNotFoundError.*a token file")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[default]\n{ROLE}\nsource_profile = nowhere\n", "nowhere"),
        (f"[default]\n{ROLE}\nsource_profile = default\n[profile b]\n", "default"),
        (f"[default]\n{ROLE}\ncredential_source = Moon\n", "Moon"),
        ("[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = a\n", '"x"'),
    ],
)
def test_a_profile_that_leads_nowhere(config, text, words):
    config.write_text(text)
    with pytest.raises((ConfigError, AccessError), match=f"{words}.*: check the"):
        Tuner().job("x")
    assert Verdict.FAIL is Tuner().preflight("nova-micro")[0].verdict


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"aws_secret_access_key = SECRET\n", "line 1"),
        (b"[default]\nregion = us-east-1\n[default\n", "line 3"),
        (b"[default]\nx = 1\n[default]\nx = 2\n", "line 3"),
        (b"\xff\xfe", ""),
    ],
)
def test_a_broken_file_is_named_with_the_line_and_without_what_is_there(config, content, where):
    config.write_bytes(content)
    with pytest.raises(
        ConfigError, match=f"Unable to parse config file: .*{config.name}.*{where}"
    ) as caught:
        Tuner().job("x")
    assert "SECRET" not in str(caught.value)
    assert run(["doctor"]) == 2
