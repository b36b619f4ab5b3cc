"""One account, one team: two regions, so that both Nova and Llama can be tuned, and somebody who hears of it.

npx cdk deploy --all -c stages=examples/stages/one_account.py
"""

from tunestack_cdk import Endpoints, Stage

STAGES = {
    "team": Stage(
        name="team",
        regions=("us-east-1", "us-west-2"),
        base_models=("nova-micro", "nova-lite", "llama-3-1-8b"),
        endpoints=Endpoints(default_hours=2, max_hours=12),
        alert_email="ml-team@example.com",
        monthly_budget_usd=300,
        dashboard=True,
    )
}
