"""Settings of a stage that type checkers reject.

mypy checks this module and nothing runs it: an unused `type: ignore` is an error (`warn_unused_ignores`), and so is a setting
that is rejected for another reason.
"""

from tunestack_cdk import Stage


def create_stages() -> None:
    """Create a valid stage, and stages with one invalid setting each."""
    regions, models = ("us-east-1",), ("nova-micro",)
    Stage(name="dev", regions=regions, base_models=models, max_endpoint_hours=8)
    Stage(name="dev", regions=regions, base_models=models, max_endpoint_hour=8)  # type: ignore[call-arg]
    Stage(name="dev", regions=regions, base_models=models, max_endpoint_hours="8")  # type: ignore[arg-type]
    Stage(name=1, regions=regions, base_models=models)  # type: ignore[arg-type]
    Stage(name="dev", regions=regions)  # type: ignore[call-arg]
