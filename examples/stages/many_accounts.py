"""The same settings in every account of an organization: one stage per team.

npx cdk deploy --all -c stages=examples/stages/many_accounts.py --concurrency 8
"""

from tunestack_cdk import Stage

_TEAMS = {
    "search": "111111111111",
    "support": "222222222222",
    "billing": "333333333333",
}

STAGES = {
    team: Stage(
        name=team,
        account=account,
        regions=("us-east-1", "us-west-2"),
        base_models=("nova-micro", "llama-3-1-8b"),
        default_endpoint_hours=4,
        max_endpoint_hours=24,
        alert_email=f"{team}-ml@example.com",
        permissions_boundary="ml-workloads",
        qualifier="platform",
    )
    for team, account in _TEAMS.items()
}
