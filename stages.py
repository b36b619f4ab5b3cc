"""The stages that `cdk deploy` deploys. This is the only file to edit.

A stage is one AWS account with its regions, base models and limits. `tunestack_cdk.Stage` documents all settings.
`examples/stages` contains stages for one, three and many accounts.
"""

from tunestack_cdk import Stage

STAGES = {
    "dev": Stage(
        name="dev",
        regions=("us-east-1", "us-west-2"),
        base_models=(
            "nova-micro",
            "nova-lite",
            "nova-pro",
            "nova-2-lite",
            "llama-3-1-8b",
            "llama-3-1-70b",
            "llama-3-2-1b",
            "llama-3-2-3b",
            "llama-3-2-11b",
            "llama-3-2-90b",
            "llama-3-3-70b",
        ),
        retain_data=False,
    ),
}
