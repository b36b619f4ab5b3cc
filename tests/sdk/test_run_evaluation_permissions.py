"""The roles of the stack are enough to evaluate and promote, with IAM enforced for all services."""

import pytest

from tests.day import AS_OF
from tests.sdk.evaluation_stage import deploy_stage
from tests.sdk.run_specs import ROWS, build_specs
from tunestack import Poll, RunEvaluation, RunState, Tuner
from tunestack_sandbox import Sandbox


@pytest.mark.as_root
def test_roles_allow_evaluation_and_promotion(monkeypatch):
    with Sandbox(speed=1, as_of=AS_OF, enforce_iam=True) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("TUNESTACK_DEPLOYMENT", "DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TUNESTACK_STAGE", "eval")
        deploy_stage()
        poll = Poll(longest=240, sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
        tuner = Tuner(stage="eval", poll=poll)
        evaluation = RunEvaluation(data=ROWS, metrics=["token_f1"], require=["token_f1>=base"])
        run = tuner.start_run(build_specs(1), evaluate=evaluation, promote="tickets").wait()
        assert run.state is RunState.SUCCEEDED, run.info.failure
        assert [endpoint.name for endpoint in tuner.endpoints()] == ["tickets"]
