"""The sandbox: it starts and stops all services, and returns the environment for clients."""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from tunestack.deployment import DEFAULT_REGION, DEFAULT_STAGE, REGION, Deployment, parameter_name
from tunestack.errors import ConfigError
from tunestack_sandbox.arguments import check_arguments
from tunestack_sandbox.bedrock import Quotas, Settings
from tunestack_sandbox.cleanup import Cleanup
from tunestack_sandbox.client_environment import ClientEnvironment, list_certificate_variables
from tunestack_sandbox.clock import Clock
from tunestack_sandbox.emulator import Emulator
from tunestack_sandbox.emulator_client import EmulatorClient
from tunestack_sandbox.environment_variables import (
    REMOVED_VARIABLES,
    select_neutral,
    without_accounts,
)
from tunestack_sandbox.openai.service import API_KEY
from tunestack_sandbox.proxy import Proxy, list_environment_proxies
from tunestack_sandbox.services import LocalServices
from tunestack_sandbox.stage import deploy_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tunestack_sandbox.bedrock.service import OperationInterceptor
    from tunestack_sandbox.bedrock.state import Region
    from tunestack_sandbox.messages import Request, Response, Traffic

ACCOUNT = "123456789012"
_TICK_SECONDS = 0.1


class Sandbox:
    """A local AWS and OpenAI on loopback.

    ```python
    with Sandbox() as sandbox:
        subprocess.run([...], env=sandbox.environment())
    ```

    Attributes:
        clock: The clock, which can be advanced.
        faults: The fault injector.
        cleanup: Ends processes with the sandbox, even if it is killed.
        region: The default region of the environment.
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
        validate_data: bool = True,
        training_seconds: float = 5400,
        seed: int = 0,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        """Create a sandbox. `start`, or a `with` block, starts it.

        Bedrock always evaluates the policies of users, roles and sessions. The access key in the environment is that of the
        account's root, which has all permissions.

        Args:
            region: The default region of the environment.
            empty: Start with an empty account, for `cdk deploy`. Otherwise, the `dev` stage is deployed in each of its
                regions.
            speed: The factor by which jobs and endpoints are faster than on AWS. At 1000, a job of two hours takes 7
                seconds.
            as_of: The date and time to simulate (default: the real time). Without a time zone it is UTC.
            enforce_iam: Let the other AWS services evaluate policies, too, check signatures, and serve HTTPS, which
                buckets that deny plain HTTP require.
            quotas: The quotas of every account (default: AWS's, except for model units).
            ignores_repeats: Return an empty response for a repeated `clientRequestToken` instead of the first response.
                AWS documents only that the request is ignored without an error.
            validate_data: Let jobs check their role, validate their files, and write manifests and metrics. Tests that
                create thousands of jobs can skip this.
            training_seconds: The duration of a job's training phase on AWS, before `speed` applies.
            seed: The random seed for faults with a `rate`.
            allowed_hosts: Hosts of AWS, OpenAI or Azure that the proxy in `variables()` does not refuse.

        Raises:
            ConfigError: An argument is invalid, the stage has no template for the region, or `openssl` is not installed.
        """
        check_arguments(
            region=region, empty=empty, speed=speed, as_of=as_of, quotas=quotas, tls=enforce_iam
        )
        if as_of is not None and as_of.tzinfo is None:
            as_of = as_of.replace(tzinfo=UTC)
        self.region = region
        self.clock = Clock(as_of, speed=speed)
        self._is_empty = empty
        self._simulates_date = as_of is not None
        self._tls = enforce_iam
        self._folder: Path | None = None
        self._is_started = False
        self._process: int | None = None
        self.cleanup = Cleanup()
        self._proxies = {
            internet: Proxy(
                internet=internet, allowed=allowed_hosts, upstream=list_environment_proxies()
            )
            for internet in (True, False)
        }
        self._stopped = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="tunestack-clock", daemon=True)
        self._emulator = Emulator(account=ACCOUNT, speed=speed, tls=self._tls)
        self._clients = cache(self._create_client)
        self._quotas = quotas or Quotas()
        self._services = LocalServices(
            account=ACCOUNT,
            region=region,
            clock=self.clock,
            emulator=self._emulator,
            clients=self._clients,
            settings=Settings(
                quotas=self._quotas,
                ignores_repeats=ignores_repeats,
                validate_data=validate_data,
                training_seconds=training_seconds,
            ),
            seed=seed,
            tls=self._tls,
            state=self.state,
            reset=self.reset,
        )
        self.faults = self._services.faults
        self._client_environment = ClientEnvironment(
            account=ACCOUNT,
            region=self.region,
            emulator_url=self._emulator.url,
            url=self.url,
            openai_key=API_KEY,
        )

    @property
    def quotas(self) -> Quotas:
        """The quotas of every account. Set them to simulate another account until `reset`."""
        return self._services.bedrock.quotas

    @quotas.setter
    def quotas(self, quotas: Quotas) -> None:
        self._services.bedrock.quotas = quotas

    @property
    def traffic(self) -> Traffic:
        """The messages that were checked against the service models so far."""
        return self._services.traffic

    @property
    def url(self) -> str:
        """The URL of Bedrock and OpenAI."""
        return self._services.server.url

    @property
    def admin_url(self) -> str:
        """The URL of the sandbox's own HTTP API, see `tunestack_sandbox.admin`."""
        return f"{self.url}/_tunestack"

    def start(self) -> Self:
        """Start all services. This takes a few seconds.

        Raises:
            ConfigError: The sandbox was started before.
            TunestackError: A service did not start.
        """
        if self._is_started:
            raise ConfigError("a sandbox can be started only once: create another one")
        self._is_started = True
        self._process = os.getpid()
        try:
            self._folder = self.cleanup.start()
            self._client_environment.write_config_files(self._folder)
            self.cleanup.add_process_group(
                self._emulator.start(self._folder, self._build_emulator_environment(self._folder))
            )
            for proxy in self._proxies.values():
                proxy.start()
            self._emulator.wait()
            self._services.server.start(self._find_certificate())
            self._emulator.set_clock(self.clock.ahead)
            self.clock.follow(self._emulator.set_clock)
            self.clock.wait_for(self._emulator.wait_for_executions)
            self._ticker.start()
            if not self._is_empty:
                deploy_stage(lambda name: self._clients(ACCOUNT, name))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all services and delete their files. In a forked process, this does nothing."""
        if self._process not in (None, os.getpid()):
            return
        self._stopped.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._services.server.stop()
        for proxy in self._proxies.values():
            proxy.stop()
        self._emulator.stop()
        self.cleanup.stop()

    def reset(self, *, everything: bool = False) -> None:
        """Delete all jobs, models, endpoints and their schedules, executions and faults, and reset the clock and the quotas.

        Args:
            everything: Delete the resources of all other AWS services, too, and deploy the stage again, which takes a
                second. The names of its resources change.
        """
        self.clock.require_own_process()
        self._emulator.end_executions()
        with self.clock.lock:
            self.clock.reset()
            self.faults.clear()
            self._services.bedrock.reset()
            self._services.bedrock.quotas = self._quotas
            self._services.openai.reset()
        self._emulator.delete_schedules()
        self._emulator.delete_metrics()
        if everything:
            self._emulator.reset()
            if not self._is_empty:
                deploy_stage(lambda name: self._clients(ACCOUNT, name))

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values: time, faults, traffic, and the resources of each account and region in use."""
        self.clock.require_own_process()
        state = {
            "now": self.clock.now(),
            "regions": self._services.bedrock.state(),
            "openai": self._services.openai.state(),
            "faults": self.faults.listed(),
            "traffic": {
                name: getattr(self.traffic, name) for name in ("requests", "answers", "errors")
            },
        }
        values: dict[str, Any] = json.loads(json.dumps(state, default=_convert_to_json))
        return values

    def bedrock_region(self, region: str | None = None, account: str = ACCOUNT) -> Region:
        """Return Bedrock's live objects in a region (default: the default region), for tests that read or change them."""
        return self._services.bedrock.region(region or self.region, account)

    @contextmanager
    def intercept(self, interceptor: Callable[[Request], Response | None]) -> Iterator[None]:
        """Call a function for each request to Bedrock or OpenAI in a `with` block, before it is handled.

        ```python
        def fail(request):
            if request.path == "/v1/models":
                return Response(status=503)

        with sandbox.intercept(fail):
            ...
        ```

        Args:
            interceptor: Returns a response to send instead, or `None` to let the sandbox handle the request.
        """
        self._services.server.add_interceptor(interceptor)
        try:
            yield
        finally:
            self._services.server.remove_interceptor(interceptor)

    @contextmanager
    def intercept_operations(self, interceptor: OperationInterceptor) -> Iterator[None]:
        """Call a function for each operation of Bedrock in a `with` block.

        Args:
            interceptor: Gets the `OperationCall` and the handler that it replaces; it returns an `OperationResult`, that of
                the handler or another one, or raises `ServiceError`.
        """
        self._services.bedrock.add_interceptor(interceptor)
        try:
            yield
        finally:
            self._services.bedrock.remove_interceptor(interceptor)

    def environment(self, *, internet: bool = True) -> dict[str, str]:
        """Return a whole environment for `subprocess.run(env=...)`: the current one, with AWS replaced by the sandbox.

        Args:
            internet: Let the proxy connect to other hosts, see `variables`.
        """
        return {**without_accounts(os.environ), **self.variables(internet=internet)}

    def variables(self, *, internet: bool = True) -> dict[str, str]:
        """Return the environment variables with which clients find the sandbox and the stage in it.

        They include a proxy. It refuses connections to AWS, OpenAI and Azure from clients that ignore the other variables.

        Args:
            internet: Let the proxy connect to other hosts.
        """
        return {
            **self._build_client_variables(internet=internet),
            **self._list_certificate_variables(),
            REGION: self.region,
            DEFAULT_REGION: self.region,
            **({} if self._is_empty else self.deployment().environment()),
        }

    def cleared(self) -> list[str]:
        """Return the names of the variables to remove where `variables()` are set: a fixed list, and those set here."""
        return sorted({*REMOVED_VARIABLES, *os.environ.keys()} - self.environment().keys())

    def deployment(self, region: str | None = None) -> Deployment:
        """Return the deployed stage in a region (default: the default region)."""
        name = parameter_name(DEFAULT_STAGE)
        ssm = self._clients(ACCOUNT, region or self.region).client("ssm")
        deployment = Deployment.from_json(
            ssm.get_parameter(Name=name)["Parameter"]["Value"], origin=f"SSM parameter {name!r}"
        )
        # On another date there are other base models than those of the stage.
        return replace(deployment, base_models=()) if self._simulates_date else deployment

    def _tick(self) -> None:
        """Run due actions even if there are no requests, for clients that wait for events."""
        while not self._stopped.wait(_TICK_SECONDS):
            with suppress(Exception):  # the next request raises it
                self.clock.settle()

    def _create_client(self, account: str, region: str) -> EmulatorClient:
        certificate = self._find_tls_file("server.crt")
        return EmulatorClient(
            self._emulator.url, account, region, certificate=certificate, read=self._emulator.run
        )

    def _build_client_variables(self, *, internet: bool) -> dict[str, str]:
        proxy = self._proxies[internet].url
        return self._client_environment.build_variables(proxy=proxy, folder=self._folder)

    def _build_emulator_environment(self, folder: Path) -> dict[str, str]:
        variables = {
            **select_neutral(os.environ),
            **self._build_client_variables(internet=True),
            "HOME": str(folder),
        }
        # The emulator sets these for each Lambda function, by its role and region.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
            del variables[name]
        return variables

    def _find_tls_file(self, name: str) -> Path | None:
        return self._folder / "ministack-tls" / name if self._tls and self._folder else None

    def _find_certificate(self) -> tuple[Path, Path] | None:
        certificate, key = self._find_tls_file("server.crt"), self._find_tls_file("server.key")
        return None if certificate is None or key is None else (certificate, key)

    def _list_certificate_variables(self) -> dict[str, str]:
        certificate = self._find_tls_file("server.crt")
        bundle = self._find_tls_file("ca-bundle.pem")
        if certificate is None or bundle is None:
            return {}
        return list_certificate_variables(certificate, bundle)

    def __repr__(self) -> str:
        """Return the region, the URL and the time as text."""
        return f"<Sandbox {self.region} {self._emulator.url} {self.clock!r}>"

    def __enter__(self) -> Self:
        """Start the sandbox."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the sandbox."""
        self.stop()


def _convert_to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
