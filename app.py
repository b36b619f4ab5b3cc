"""The CDK app: one stack for each stage and region.

npx cdk deploy --all                                              # every stage
npx cdk deploy 'Tunestack-dev-*'                                  # one stage
npx cdk deploy --all -c stages=examples/stages/three_stages.py    # the stages of another file
"""

import runpy
import sys

from aws_cdk import App

from stages import STAGES
from tunestack_cdk import StageError, TunestackStack


def main() -> None:
    """Synthesize the stacks."""
    app = App()
    file = app.node.try_get_context("stages")
    try:
        stages = STAGES if file is None else runpy.run_path(file)["STAGES"]
    except (OSError, KeyError) as error:
        sys.exit(f"invalid -c stages={file}: use a Python file that defines STAGES ({error})")
    except StageError as error:
        sys.exit(str(error))
    for stage in stages.values():
        for region in stage.regions:
            TunestackStack(app, f"Tunestack-{stage.name}-{region}", stage=stage, region=region)
    app.synth()


main()
