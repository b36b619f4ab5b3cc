"""One account for one team: two regions, for Nova and Llama, with alerts by email.

npx cdk deploy --all -c stages=examples/stages/one_account.py
"""

from tunestack_cdk import Stage

STAGES = {
    "team": Stage(
        name="team",
        regions=("us-east-1", "us-west-2"),
        base_models=("nova-micro", "nova-lite", "llama-3-1-8b"),
        default_endpoint_hours=2,
        max_endpoint_hours=12,
        alert_email="ml-team@example.com",
        monthly_budget_usd=300,
        dashboard=True,
    )
}
