"""Errors in sources of credentials raise an error of Tunestack that names the source."""

import pytest

from tunestack import Tuner
from tunestack.backends.base import Verdict
from tunestack.cli.commands import run
from tunestack.errors import AccessError, ConfigError

pytestmark = pytest.mark.as_root  # the SDK must find the credentials itself

ROLE = "role_arn = arn:aws:iam::123456789012:role/x"
PROCESSES = {
    "fails": "false",
    "is missing": "/no/such/program",
    "can not be executed": "/etc/passwd",
    "is empty": "",
    "has no closing quote": '"x',
    "prints nothing": "true",
    "prints no JSON": "echo hello",
    "prints a list": "echo '[]'",
    "prints invalid UTF-8": r"printf \\377",
    "prints no version": "echo '{}'",
    "prints no key": """echo '{"Version": 1}'""",
    "prints half of a key": """echo '{"Version": 1, "AccessKeyId": "a"}'""",
    "prints null": """echo '{"Version": 1, "AccessKeyId": null, "SecretAccessKey": null}'""",
    "prints numbers": """echo '{"Version": 1, "AccessKeyId": 1, "SecretAccessKey": 2}'""",
    "prints no time": """echo '{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "soon"}'""",
}


@pytest.fixture
def config(sandbox, monkeypatch, tmp_path):
    """Return the path of the configuration file, which is the only source of credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


def check_error(kind, message):
    """Check the error of a call, and the result of preflight and doctor."""
    with pytest.raises(kind, match=message) as raised:
        Tuner().job("x")
    assert str(raised.value).count(": check ") == 1
    first = Tuner().preflight("nova-micro")[0]
    assert (first.name, first.verdict) == ("credentials", Verdict.FAIL)
    assert run(["doctor", "-m", "nova-micro"]) == 1


@pytest.mark.parametrize("failure", PROCESSES)
def test_failed_credential_process_raises_access_error(config, failure):
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = {PROCESSES[failure]}\n")
    check_error(AccessError, "(?i)credentials|custom-process")


def test_missing_token_file_raises_access_error(config, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    check_error(AccessError, "FileNotFoundError.*a token file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[default]\n{ROLE}\nsource_profile = nowhere\n", "nowhere"),
        (f"[default]\n{ROLE}\nsource_profile = default\n[profile b]\n", "default"),
        (f"[default]\n{ROLE}\ncredential_source = Moon\n", "Moon"),
        ("[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = a\n", '"x"'),
    ],
)
def test_profile_with_an_invalid_source_is_an_error(config, text, message):
    config.write_text(text)
    with pytest.raises((ConfigError, AccessError), match=f"{message}.*: check the"):
        Tuner().job("x")
    assert Verdict.FAIL is Tuner().preflight("nova-micro")[0].verdict


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"aws_secret_access_key = SECRET\n", "line 1"),
        (b"[default]\nregion = us-east-1\n[default\n", "line 3"),
        (b"[default]\nx = 1\n[default]\nx = 2\n", "line 3"),
        (b"\xff\xfe", ""),
    ],
)
def test_error_about_an_invalid_file_has_the_line_and_no_content(config, content, line):
    config.write_bytes(content)
    with pytest.raises(
        ConfigError, match=f"Unable to parse config file: .*{config.name}.*{line}"
    ) as raised:
        Tuner().job("x")
    assert "SECRET" not in str(raised.value)
    assert run(["jobs", "list"]) == 2
    assert run(["doctor"]) == 1
