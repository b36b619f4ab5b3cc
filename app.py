"""The CDK app: one stack for each stage and region.

`npx cdk deploy --all` deploys every stage; `npx cdk deploy 'Tunestack-dev-*'` those of one.
"""

from aws_cdk import App

from infra.stack import TunestackStack
from infra.stages import STAGES

app = App()
for stage in STAGES.values():
    for region in stage.regions:
        TunestackStack(
            app,
            f"Tunestack-{stage.name}-{region}",
            stage=stage,
            region=region,
        )
app.synth()
