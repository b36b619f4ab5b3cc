"""Three stages in two accounts: `dev` and `test` share an account, `prod` has its own and uses most settings.

npx cdk deploy 'Tunestack-prod-*' -c stages=examples/stages/three_stages.py
"""

from tunestack_cdk import DataLocation, Network, Oidc, Roles, Stage

_SHARED, _PROD = "111122223333", "444455556666"
_BASE_MODELS = ("nova-micro", "nova-lite")

STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            name="dev",
            account=_SHARED,
            regions=("us-east-1",),
            base_models=_BASE_MODELS,
            retain_data=False,
            allow_provisioned_throughput=False,
        ),
        Stage(
            name="test",
            account=_SHARED,
            regions=("us-east-1",),
            base_models=_BASE_MODELS,
            roles=Roles(
                ci=Oidc(
                    provider_arn=f"arn:aws:iam::{_SHARED}:oidc-provider/token.actions.githubusercontent.com",
                    subjects=("repo:example/support-bot:ref:refs/heads/main",),
                )
            ),
        ),
        Stage(
            name="prod",
            account=_PROD,
            regions=("us-east-1",),
            base_models=_BASE_MODELS,
            extra_data_locations=(
                DataLocation(uri="s3://example-curated-data/tickets/", owner=_SHARED),
            ),
            model_key=True,
            default_endpoint_hours=8,
            max_endpoint_hours=72,
            alert_email="ml-on-call@example.com",
            monthly_budget_usd=5000,
            roles=Roles(
                tuners=(f"arn:aws:iam::{_SHARED}:role/ReleasePipeline",),
                invokers=(f"arn:aws:iam::{_PROD}:role/SupportBot",),
                viewers=(f"arn:aws:iam::{_PROD}:role/Auditors",),
            ),
            network=Network(
                vpc_id="vpc-0a1b2c3d4e5f60718",
                subnet_ids=("subnet-0a1b2c3d4e5f60718", "subnet-0918273645f6e7d8c"),
                route_table_ids=("rtb-0a1b2c3d4e5f60718",),
                bedrock_endpoints=True,
            ),
        ),
    )
}
