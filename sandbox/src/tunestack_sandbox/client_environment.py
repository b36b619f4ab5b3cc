"""The environment variables and configuration files with which AWS and OpenAI clients find the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunestack_sandbox.emulator_client import ACCOUNT_SECRET
from tunestack_sandbox.environment_variables import PROXY_VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

_NO_PROXY = "127.0.0.1,localhost,::1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientEnvironment:
    """Builds the variables of clients, and writes the AWS configuration files that they name."""

    account: str
    region: str
    emulator_url: str
    url: str
    """The URL of Bedrock and OpenAI."""
    openai_key: str

    def build_variables(self, *, proxy: str, folder: Path | None) -> dict[str, str]:
        """Return the variables for clients, without the region.

        Args:
            proxy: The URL of the proxy.
            folder: The sandbox's folder, once it exists.
        """
        proxies = {name: proxy for name in PROXY_VARIABLES if name != "ALL_PROXY"}
        proxies["NO_PROXY"] = _NO_PROXY
        return {
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": ACCOUNT_SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            # A path without a metadata service, for clients that ignore the variable above.
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.url}/_tunestack/metadata/",
            "AWS_ENDPOINT_URL": self.emulator_url,
            "AWS_ENDPOINT_URL_BEDROCK": self.url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url,
            "AWS_ENDPOINT_URL_COST_EXPLORER": self.url,
            "AWS_ENDPOINT_URL_PRICING": self.url,
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": self.url,
            "AWS_BEDROCK_RUNTIME_ENDPOINT": self.url,  # litellm reads only this one
            **({} if folder is None else _list_file_variables(folder)),
            "ANTHROPIC_BEDROCK_BASE_URL": self.url,
            "OPENAI_API_KEY": self.openai_key,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_BASE": f"{self.url}/v1",  # litellm reads this one, too
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or litellm downloads its price list
            **proxies,
            **{name.lower(): value for name, value in proxies.items()},
        }

    def write_config_files(self, folder: Path) -> None:
        """Write the AWS configuration files, which have a default profile for the sandbox and no other profile."""
        endpoint = f"\n  endpoint_url = {self.url}\n"
        services = "".join(f"{name} ={endpoint}" for name in ("bedrock", "bedrock_runtime"))
        (folder / "aws").mkdir()
        (folder / "aws" / "config").write_text(
            f"[default]\nregion = {self.region}\nendpoint_url = {self.emulator_url}\n"
            f"services = sandbox\n[services sandbox]\n{services}"
        )
        (folder / "aws" / "credentials").write_text(
            f"[default]\naws_access_key_id = {self.account}\n"
            f"aws_secret_access_key = {ACCOUNT_SECRET}\n"
        )


def _list_file_variables(folder: Path) -> dict[str, str]:
    """Return the variables that name files, so that clients do not read the user's files."""
    return {
        "AWS_CONFIG_FILE": str(folder / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws" / "credentials"),
        "AWS_SDK_LOAD_CONFIG": "1",  # older SDKs read the configuration file only with this
        # Separate from DSPy's cache of real models' answers.
        "DSPY_CACHEDIR": str(folder / "dspy-cache"),
    }


def list_certificate_variables(certificate: Path, bundle: Path) -> dict[str, str]:
    """Return the variables that let boto3, Python's HTTP clients and Node.js trust the certificate.

    Args:
        certificate: The file of the sandbox's certificate.
        bundle: The file of this certificate together with the system's, which does not exist on all systems.
    """
    # These variables replace the system's certificates.
    path = str(bundle if bundle.exists() else certificate)
    names = ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    # Node.js adds this one to its own; AWS clients need no other, and would read the bundle for each connection.
    alone = dict.fromkeys(("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(certificate))
    return dict.fromkeys(names, path) | alone
