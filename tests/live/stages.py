"""The stages of a run, for `cdk deploy -c stages=tests/live/stages.py`. The run sets the environment variables."""

import json
import os

from tunestack_cdk import Network, Roles, Stage

_RUN = os.environ["TUNESTACK_LIVE_RUN"]
_REGION = os.environ["TUNESTACK_LIVE_REGION"]
_MODEL = os.environ["TUNESTACK_LIVE_MODEL"]
# Every principal of the account that may assume roles, because its own policies allow it.
_ACCOUNT = f"arn:aws:iam::{os.environ['TUNESTACK_LIVE_ACCOUNT']}:root"
_NETWORK = json.loads(os.environ.get("TUNESTACK_LIVE_NETWORK", "null"))

_MINIMAL = Stage(
    name=_RUN,
    regions=(_REGION,),
    base_models=(_MODEL,),
    retain_data=False,
    model_key=True,
    roles=Roles(tuners=(_ACCOUNT,)),
)
STAGES = {_MINIMAL.name: _MINIMAL}
if _NETWORK:
    STAGES[f"{_RUN}-net"] = Stage(
        name=f"{_RUN}-net",
        regions=(_REGION,),
        base_models=(_MODEL,),
        retain_data=False,
        model_key=True,
        dashboard=True,
        roles=Roles(tuners=(_ACCOUNT,), invokers=(_ACCOUNT,), viewers=(_ACCOUNT,)),
        network=Network(
            vpc_id=_NETWORK["vpc"],
            subnet_ids=(_NETWORK["subnet"],),
            route_table_ids=(_NETWORK["route_table"],),
            bedrock_endpoints=True,
        ),
    )
