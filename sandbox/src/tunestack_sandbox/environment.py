"""The sandbox as a whole: start it, hand out its environment, end it."""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from tunestack.deployment import DEFAULT_REGION, DEFAULT_STAGE, REGION, Deployment, parameter_name
from tunestack.errors import ConfigError
from tunestack_sandbox.admin import Admin
from tunestack_sandbox.aws import SECRET, Aws
from tunestack_sandbox.bedrock import OPERATIONS, Bedrock, Quotas, Settings
from tunestack_sandbox.callers import Callers
from tunestack_sandbox.clock import Clock
from tunestack_sandbox.emulator import Emulator
from tunestack_sandbox.faults import Faults
from tunestack_sandbox.openai import service as openai
from tunestack_sandbox.proxy import Proxy, proxies_before
from tunestack_sandbox.remains import Remains
from tunestack_sandbox.server import Server
from tunestack_sandbox.service_quotas import ServiceQuotas
from tunestack_sandbox.stage import deploy, regions
from tunestack_sandbox.variables import PROXIES, UNSET, neutral, without_accounts
from tunestack_sandbox.wire import Traffic, Wire

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

ACCOUNT = "123456789012"
_LOCAL = "127.0.0.1,localhost,::1"
_TICK = 0.1
"""Seconds between looks at what is due."""


def _require_possible(
    *, region: str, empty: bool, speed: object, as_of: object, quotas: object, tls: bool
) -> None:
    """Refuse arguments that no sandbox can be made of, before anything is."""
    if not empty and region not in regions():
        raise ConfigError(
            f"region {region!r} has no stage in the sandbox: "
            f"use {' or '.join(sorted(regions()))}, or an empty sandbox (--empty)"
        )
    if not (isinstance(speed, int | float) and math.isfinite(speed) and speed > 0):
        raise ConfigError(f"speed={speed!r}: use a number above 0")
    if not (as_of is None or isinstance(as_of, datetime)):
        raise ConfigError(f"as_of={as_of!r}: use a datetime")
    if not (quotas is None or isinstance(quotas, Quotas)):
        raise ConfigError(f"quotas={quotas!r}: use tunestack_sandbox.Quotas(...)")
    if tls and shutil.which("openssl") is None:
        raise ConfigError("enforce_iam makes a certificate, and openssl is not installed")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Sandbox:
    """A local AWS and OpenAI on loopback.

    ```python
    with Sandbox() as sandbox:
        subprocess.run([...], env=sandbox.environment())
    ```

    Attributes:
        clock: its time, which can be turned.
        faults: what goes wrong; nothing, until something is added.
        region: the default region of the environment that it hands out.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        empty: bool = False,
        speed: float = 1000.0,
        as_of: datetime | None = None,
        enforce_iam: bool = False,
        quotas: Quotas | None = None,
        ignores_repeats: bool = False,
        seed: int = 0,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        """Say what the sandbox is to be; `start`, or entering it, starts it.

        Bedrock evaluates the policies of users, roles and sessions at all times; the access key that is handed out is the
        account's root, which may do everything.

        Args:
            region: the default region of the environment that it hands out.
            empty: a bare account, for `cdk deploy`; else the `dev` stage is deployed in each of its regions.
            speed: by how much jobs and endpoints are faster than on AWS; at 1000, a job of two hours takes 7 seconds.
            as_of: the day and time to start at; the real ones if not given.
            enforce_iam: let the rest of AWS evaluate policies too, check signatures, and serve HTTPS, without which
                buckets that refuse plain HTTP could not be reached.
            quotas: what an account may have at a time; as in AWS, but for model units, if not given.
            ignores_repeats: answer a repeated `clientRequestToken` with nothing instead of the first answer: AWS documents
                that it is ignored without an error, which can mean either.
            seed: random seed of the faults that have a `rate`.
            allowed_hosts: hosts of AWS, OpenAI or Azure that the proxy in `variables()` does not refuse.

        Raises:
            ConfigError: no stage is deployed in this region, an argument is of another kind, or `openssl` is not there.
        """
        _require_possible(
            region=region, empty=empty, speed=speed, as_of=as_of, quotas=quotas, tls=enforce_iam
        )
        if as_of is not None and as_of.tzinfo is None:
            as_of = as_of.replace(tzinfo=UTC)
        self.region = region
        self.clock = Clock(as_of, speed=speed)
        self._empty = empty
        self._another_day = as_of is not None
        self._tls = enforce_iam
        self._folder: Path | None = None
        self._started = False
        self._process: int | None = None
        self._wire = Wire("bedrock", "bedrock-runtime", region=region)
        errors = self._wire.errors(OPERATIONS) | openai.errors()
        self.faults = Faults(seed, errors)
        self._remains = Remains()
        self._proxies = {
            internet: Proxy(internet=internet, allowed=allowed_hosts, before=proxies_before())
            for internet in (True, False)
        }
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="tunestack-clock", daemon=True)
        self._emulator = Emulator(account=ACCOUNT, tls=self._tls)
        self._aws = cache(self._new_aws)
        callers = Callers(
            ACCOUNT,
            credential=self._emulator.credential,
            api_key=self._emulator.api_key,
            aws=lambda account: self._aws(account, self.region),
            now=self.clock.now,
            turned=lambda: self.clock.turned,
            strict=enforce_iam,
        )
        self._quotas = quotas or Quotas()
        self._bedrock = Bedrock(
            clock=self.clock,
            callers=callers,
            aws=self._aws,
            faults=self.faults,
            settings=Settings(quotas=self._quotas, ignores_repeats=ignores_repeats),
            send_event=self._emulator.send_event,
        )
        self._openai = openai.OpenAI(
            clock=self.clock, faults=self.faults, traffic=self._wire.traffic
        )
        admin = Admin(clock=self.clock, faults=self.faults, state=self.state, reset=self.reset)
        self._server = Server(
            self._wire,
            self._bedrock.handle,
            faults=self.faults,
            others=[admin, ServiceQuotas(lambda: self.quotas, callers), self._openai],
            now=self.clock.now,
            tls=self._tls,
        )

    @property
    def quotas(self) -> Quotas:
        """What an account may have at a time; can be set, until `reset`."""
        return self._bedrock.quotas

    @quotas.setter
    def quotas(self, quotas: Quotas) -> None:
        self._bedrock.quotas = quotas

    @property
    def traffic(self) -> Traffic:
        """What was checked against botocore's model of Bedrock so far."""
        return self._wire.traffic

    @property
    def admin_url(self) -> str:
        """Where it can be told over HTTP what AWS can't: see `admin`."""
        return f"{self._server.url}/_tunestack"

    def start(self) -> Self:
        """Start everything; takes a few seconds.

        Raises:
            ConfigError: it was started before.
            TunestackError: something did not start; says what and why.
        """
        if self._started:
            raise ConfigError("a sandbox starts once: make another")
        self._started = True
        self._process = os.getpid()
        try:
            self._folder = self._remains.start()
            self._write_settings(self._folder)
            inside = {
                **neutral(os.environ),
                **self._clients(internet=True),
                "HOME": str(self._folder),
            }
            for name in ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
                del inside[name]  # a function gets those of its role and region from the emulator
            self._remains.group(self._emulator.start(self._folder, inside))
            for proxy in self._proxies.values():
                proxy.start()
            self._emulator.wait()
            self._server.start(self._certificate())
            self._emulator.turn_clock(self.clock.ahead)
            self.clock.follow(self._emulator.turn_clock)
            self._ticker.start()
            if not self._empty:
                deploy(lambda name: self._aws(ACCOUNT, name))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything and remove what it left on disk; a process that was forked from this one ends nothing."""
        if self._process not in (None, os.getpid()):
            return
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._server.stop()
        for proxy in self._proxies.values():
            proxy.stop()
        self._emulator.stop()
        self._remains.stop()

    def reset(self, *, everything: bool = False) -> None:
        """Forget every job, model, endpoint, schedule and fault, turn the clock back, and restore the quotas.

        Args:
            everything: also what the rest of AWS holds, buckets, roles, queues and the like; the stage is deployed anew, with
                other names, which takes a second. If not, all of that stays.
        """
        self.clock.require_own_process()
        with self.clock.lock:
            self.clock.reset()
            self.faults.clear()
            self._bedrock.reset()
            self._bedrock.quotas = self._quotas
            self._openai.reset()
        self._emulator.forget_schedules()
        if everything:
            self._emulator.reset()
            if not self._empty:
                deploy(lambda name: self._aws(ACCOUNT, name))

    def state(self) -> dict[str, Any]:
        """Dump what it remembers, as JSON: jobs, models and endpoints of each account and region in use, faults, time, traffic."""
        self.clock.require_own_process()
        found = {
            "now": self.clock.now(),
            "regions": self._bedrock.state(),
            "openai": self._openai.state(),
            "faults": self.faults.listed(),
            "traffic": {
                name: getattr(self.traffic, name) for name in ("requests", "answers", "errors")
            },
        }
        plain: dict[str, Any] = json.loads(json.dumps(found, default=_plain))
        return plain

    def environment(self, *, internet: bool = True) -> dict[str, str]:
        """Return a whole environment, for `subprocess.run(env=...)`: the present one, with AWS replaced by the sandbox.

        Args:
            internet: see `variables`.
        """
        return {**without_accounts(os.environ), **self.variables(internet=internet)}

    def variables(self, *, internet: bool = True) -> dict[str, str]:
        """Return the variables to set for clients to find the sandbox, and the stage deployed in it.

        Clients that ignore them, and use the proxy that is among them, are refused connections to AWS, OpenAI and Azure.

        Args:
            internet: let the proxy pass connections to other hosts.
        """
        return {
            **self._clients(internet=internet),
            **self._trust(),
            REGION: self.region,
            DEFAULT_REGION: self.region,
            **({} if self._empty else self.deployment().environment()),
        }

    def cleared(self) -> list[str]:
        """Return the names of variables to remove where `variables()` are set: some in any case, and those set here."""
        return sorted({*UNSET, *os.environ.keys()} - self.environment().keys())

    def _clients(self, *, internet: bool) -> dict[str, str]:
        """Return the variables that clients of AWS and OpenAI read, but for the region."""
        proxy = self._proxies[internet].url
        proxies = {name: proxy for name in PROXIES if name != "ALL_PROXY"} | {"NO_PROXY": _LOCAL}
        return {
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.admin_url}/metadata/",  # which has none
            "AWS_ENDPOINT_URL": self._emulator.url,
            **self._endpoints(),
            **self._settings(),
            "ANTHROPIC_BEDROCK_BASE_URL": self._server.url,
            "OPENAI_API_KEY": openai.KEY,
            "OPENAI_BASE_URL": f"{self._server.url}/v1",
            "OPENAI_API_BASE": f"{self._server.url}/v1",  # litellm reads this one too
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it would fetch a list from the internet
            **proxies,
            **{name.lower(): value for name, value in proxies.items()},
        }

    def _settings(self) -> dict[str, str]:
        """Return the variables that name files of the sandbox, where clients would read the user's own."""
        folder = self._folder
        if folder is None:
            return {}
        return {
            "AWS_CONFIG_FILE": str(folder / "aws" / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws" / "credentials"),
            "AWS_SDK_LOAD_CONFIG": "1",  # older SDKs read the configuration file only with it
            # What DSPy has been answered here must not be taken for an answer of a real model, nor the other way round.
            "DSPY_CACHEDIR": str(folder / "dspy-cache"),
        }

    def _write_settings(self, folder: Path) -> None:
        """Write the files of AWS's SDKs: a default profile that leads to the sandbox, and no other."""
        bedrock = f"\n  endpoint_url = {self._server.url}\n"
        services = "".join(f"{name} ={bedrock}" for name in ("bedrock", "bedrock_runtime"))
        (folder / "aws").mkdir()
        (folder / "aws" / "config").write_text(
            f"[default]\nregion = {self.region}\nendpoint_url = {self._emulator.url}\n"
            f"services = sandbox\n[services sandbox]\n{services}"
        )
        (folder / "aws" / "credentials").write_text(
            f"[default]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = {SECRET}\n"
        )

    def deployment(self, region: str | None = None) -> Deployment:
        """Return what is deployed in a region, the default one if not given."""
        name = parameter_name(DEFAULT_STAGE)
        ssm = self._aws(ACCOUNT, region or self.region).client("ssm")
        found = Deployment.from_json(
            ssm.get_parameter(Name=name)["Parameter"]["Value"], origin=f"SSM parameter {name!r}"
        )
        # On another day there are other models than those that the stage lists.
        return replace(found, base_models=()) if self._another_day else found

    def take_along(self, pid: int) -> None:
        """Let a process end with the sandbox, however that ends."""
        self._remains.command(pid)

    def leave(self, pid: int) -> None:
        """Forget a process that was to be taken along: it has ended."""
        self._remains.ended(pid)

    def _tick(self) -> None:
        """Let what falls due happen though nobody looks: whoever waits for events does not."""
        while not self._ended.wait(_TICK):
            with suppress(Exception):  # whoever looks is told
                self.clock.settle()

    def _new_aws(self, account: str, region: str) -> Aws:
        return Aws(self._emulator.url, account, region, self._tls_file("server.crt"))

    def _endpoints(self) -> dict[str, str]:
        bedrock = self._server.url
        return {
            "AWS_ENDPOINT_URL_BEDROCK": bedrock,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock,
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": bedrock,
            "AWS_BEDROCK_RUNTIME_ENDPOINT": bedrock,  # litellm reads only this one
        }

    def _tls_file(self, name: str) -> Path | None:
        return self._folder / "ministack-tls" / name if self._tls and self._folder else None

    def _certificate(self) -> tuple[Path, Path] | None:
        certificate, key = self._tls_file("server.crt"), self._tls_file("server.key")
        return None if certificate is None or key is None else (certificate, key)

    def _trust(self) -> dict[str, str]:
        """Let boto3, Python's HTTP clients and Node trust the certificate."""
        certificate, bundle = self._tls_file("server.crt"), self._tls_file("ca-bundle.pem")
        if certificate is None or bundle is None:
            return {}
        # These replace what a client trusts, so they hold the system's certificates too, where it has a file of them.
        whole = str(bundle if bundle.exists() else certificate)
        names = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        return {**dict.fromkeys(names, whole), "NODE_EXTRA_CA_CERTS": str(certificate)}

    def __repr__(self) -> str:
        """Show where it is."""
        return f"<Sandbox {self.region} {self._emulator.url} {self.clock!r}>"

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
