"""The services that the sandbox implements itself, behind one HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack_sandbox.admin import AdminApi
from tunestack_sandbox.authentication import Authenticator
from tunestack_sandbox.bedrock import OPERATIONS, Bedrock, Settings
from tunestack_sandbox.cost_explorer import CostExplorer
from tunestack_sandbox.faults import FaultInjector
from tunestack_sandbox.json_protocol import JsonProtocol
from tunestack_sandbox.openai import service as openai
from tunestack_sandbox.price_list import PriceList
from tunestack_sandbox.rest_json import RestJsonProtocol
from tunestack_sandbox.routing import Router
from tunestack_sandbox.server import Server
from tunestack_sandbox.service_quotas import ServiceQuotas

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.emulator import Emulator
    from tunestack_sandbox.emulator_client import EmulatorClient


class LocalServices:
    """Bedrock, OpenAI, Service Quotas, the Price List API, Cost Explorer and the admin API, with one route table."""

    def __init__(
        self,
        *,
        account: str,
        region: str,
        clock: Clock,
        emulator: Emulator,
        clients: Callable[[str, str], EmulatorClient],
        settings: Settings,
        seed: int,
        tls: bool,
        state: Callable[[], dict[str, Any]],
        reset: Callable[[], None],
    ) -> None:
        """Create the services and bind a free port.

        Args:
            account: The account of unknown access keys.
            region: The default region.
            clock: The sandbox's clock.
            emulator: The emulator of the other AWS services.
            clients: Returns the client of the other AWS services in an account and region.
            settings: Bedrock's settings.
            seed: The random seed for faults.
            tls: Serve HTTPS, reject unknown access keys, and check signatures.
            state: Returns the state of the sandbox, for the admin API.
            reset: Resets the sandbox, for the admin API.
        """
        protocol = RestJsonProtocol("bedrock", "bedrock-runtime", region=region)
        self.traffic = protocol.traffic
        self.faults = FaultInjector(seed, protocol.errors(OPERATIONS) | openai.list_errors())
        authenticator = Authenticator(
            account,
            find_credential=emulator.find_credential,
            find_api_key=emulator.find_api_key,
            client=lambda owner: clients(owner, region),
            now=clock.now,
            turned=lambda: clock.turned,
            is_strict=tls,
        )
        self.bedrock = Bedrock(
            protocol=protocol,
            clock=clock,
            authenticator=authenticator,
            clients=clients,
            faults=self.faults,
            settings=settings,
            send_event=emulator.send_event,
            record_metrics=emulator.record_metrics,
        )
        self.openai = openai.OpenAI(clock=clock, faults=self.faults, traffic=self.traffic)
        others = JsonProtocol(
            [
                ServiceQuotas(lambda: self.bedrock.quotas),
                PriceList(),
                CostExplorer(self.bedrock.regions, clock),
            ],
            authenticator,
        )
        admin = AdminApi(clock=clock, faults=self.faults, state=state, reset=reset)
        router = Router(
            route
            for service in (admin, self.openai, others, self.bedrock)
            for route in service.routes()
        )
        self.server = Server(router, now=clock.now, tls=tls)
