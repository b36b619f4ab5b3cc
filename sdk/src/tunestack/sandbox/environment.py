"""The sandbox as a whole: start it, hand out its environment, end it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tunestack.contract import DEFAULT_REGION, DEFAULT_STAGE, REGION, Deployment, parameter_name
from tunestack.errors import ConfigError
from tunestack.sandbox.aws import Aws
from tunestack.sandbox.bedrock import Bedrock
from tunestack.sandbox.clock import Clock
from tunestack.sandbox.emulator import Emulator
from tunestack.sandbox.server import Server
from tunestack.sandbox.stage import deploy, regions
from tunestack.sandbox.wire import Traffic, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ACCOUNT = "123456789012"
# Whatever could lead to a real account, or to another deployment, is not passed on.
_CLEARED = ("AWS_", "BEDROCK_", "CDK_DEFAULT_", "DSPY_BEDROCK_", "OPENAI_", "TUNESTACK_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Sandbox:
    """A local AWS on loopback.

    ```python
    with Sandbox() as sandbox:
        subprocess.run([...], env=sandbox.environment())
    ```
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        empty: bool = False,
        speed: float = 1000.0,
        as_of: datetime | None = None,
    ) -> None:
        """Say what the sandbox is to be; `start`, or entering it, starts it.

        Args:
            region: the default region of the environment that it hands out.
            empty: a bare account, for `cdk deploy`; else the `dev` stage is deployed in each of its regions.
            speed: by how much jobs and endpoints are faster than on AWS; at 1000, a job of two hours takes 7 seconds.
            as_of: the day and time to start at; the real ones if not given.
        """
        if not empty and region not in regions():
            raise ConfigError(
                f"region {region!r} has no stage in the sandbox: "
                f"use {' or '.join(sorted(regions()))}, or an empty sandbox (--empty)"
            )
        self.region = region
        self.clock = Clock(as_of, speed=speed)
        self._empty = empty
        self._folder = tempfile.TemporaryDirectory(
            prefix="tunestack-sandbox-", ignore_cleanup_errors=True
        )
        self._wire = Wire("bedrock", "bedrock-runtime")
        self._emulator = Emulator(Path(self._folder.name), self._base_environment())
        self._bedrock = Bedrock(self.clock, self._emulator.url, ACCOUNT)
        self._server = Server(self._wire, self._bedrock.handle)

    @property
    def traffic(self) -> Traffic:
        """What was checked against botocore's model of Bedrock so far."""
        return self._wire.traffic

    def start(self) -> Sandbox:
        """Start everything; takes a few seconds.

        Raises:
            TunestackError: something did not start; says what and why.
        """
        self._server.start()
        try:
            self._emulator.start()
            if not self._empty:
                deploy(self._emulator.url, ACCOUNT)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything and remove what it left on disk."""
        self._emulator.stop()
        self._server.stop()
        self._folder.cleanup()

    def reset(self) -> None:
        """Forget every job, model and endpoint; what was deployed stays."""
        self.clock.clear()
        self._bedrock.reset()

    def environment(self) -> dict[str, str]:
        """Return a whole environment, for `subprocess.run(env=...)`: the present one, with AWS replaced by the sandbox."""
        return {
            **self._base_environment(),
            **self.variables(),
        }

    def variables(self) -> dict[str, str]:
        """Return what has to be set for clients to find the sandbox, and the stage deployed in it."""
        bedrock = self._server.url
        return {
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._emulator.url,
            "AWS_ENDPOINT_URL_BEDROCK": bedrock,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock,
            # litellm reads neither of those, and would fetch a price list from the internet.
            "AWS_BEDROCK_RUNTIME_ENDPOINT": bedrock,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            REGION: self.region,
            DEFAULT_REGION: self.region,
            **({} if self._empty else self.deployment().environment()),
        }

    def cleared(self) -> list[str]:
        """Name the variables of the present environment that have no place in the sandbox's."""
        return sorted(os.environ.keys() - self.environment().keys())

    def deployment(self, region: str | None = None) -> Deployment:
        """Return what is deployed in a region, the default one if not given."""
        name = parameter_name(DEFAULT_STAGE)
        ssm = Aws(self._emulator.url, ACCOUNT, region or self.region).client("ssm")
        return Deployment.from_json(
            ssm.get_parameter(Name=name)["Parameter"]["Value"], origin=f"SSM parameter {name!r}"
        )

    @staticmethod
    def _base_environment() -> dict[str, str]:
        kept: Mapping[str, str] = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_CLEARED) and name.lower() not in _PROXIES
        }
        return {**kept, "NO_PROXY": "127.0.0.1,localhost"}

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
