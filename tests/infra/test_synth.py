"""Synthesizing: the same whatever the machine, without network or credentials; and a stage is made, or refused in words."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import botocore.session
import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages import STAGES
from tests.infra.places import PLACES, ROOT
from tests.infra.resolve import Resolver, aslist, policies_of
from tunestack.catalog import CATALOG
from tunestack_cdk.stage import Stage, StageError

OTHERWISE = {
    "PYTHONHASHSEED": "4242",
    "TZ": "Pacific/Kiritimati",
    "USER": "somebody",
    "LOGNAME": "somebody",
    "LC_ALL": "C",
}
LATER = """
const now = Date.now, D = Date;
Date.now = () => now() + 1e12;
globalThis.Date = class extends D {
  constructor(...given) { given.length ? super(...given) : super(now() + 1e12); }
};
"""


def synthesize(folder, **changes):
    """Run the app as the CLI does, in a process of its own."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "JSII_AGENT"
    }
    done = subprocess.run(
        [shutil.which("python"), ROOT / "app.py"],
        cwd=ROOT,
        env=environment
        | {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": json.dumps(context)}
        | {"PYTHONPATH": str(ROOT)}
        | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.template.json")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def test_templates_are_the_same_on_every_machine_and_the_ones_that_tests_look_at(
    tmp_path, synthesized
):
    """Another hash seed, time zone, home, user, language, and some thirty years later."""
    clock = tmp_path / "later.js"
    clock.write_text(LATER)
    (tmp_path / "home").mkdir()
    other = {"HOME": str(tmp_path / "home"), "NODE_OPTIONS": f"--require {clock}"}
    found = synthesize(tmp_path / "a"), synthesize(tmp_path / "b", **OTHERWISE, **other)
    assert found[0] == found[1]
    for stage in STAGES.values():
        for region in stage.regions:
            name = f"Tunestack-{stage.name}-{region}.template.json"
            theirs = json.loads((tmp_path / "a" / name).read_text())
            ours = synthesized(stage, region).to_json()
            for template in (theirs, ours):
                for row in template["Resources"].values():
                    row.pop("Metadata", None)
            assert theirs == ours


@pytest.mark.parametrize(
    ("file", "words"),
    [("nowhere.py", "no Python file that defines STAGES"), ("empty.py", "defines STAGES")],
)
def test_a_wrong_file_of_stages_is_named(tmp_path, file, words):
    (tmp_path / "empty.py").write_text("")
    context = {"stages": str(tmp_path / file)}
    done = subprocess.run(
        [shutil.which("python"), ROOT / "app.py"],
        cwd=ROOT,
        env=os.environ
        | {"CDK_OUTDIR": str(tmp_path / "out"), "CDK_CONTEXT_JSON": json.dumps(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("stage", "region"), PLACES)
def test_every_action_is_one_of_its_service(synthesized, stage, region):
    """An action that is misspelled grants nothing, and nobody says so."""
    resources = Resolver(synthesized(stage, region).to_json(), region=region).resolved()
    session = botocore.session.get_session()
    names = {
        "s3:ListBucket": "s3:ListObjectsV2",
        "lambda:InvokeFunction": "lambda:Invoke",
        "bedrock:InvokeModel": "bedrock-runtime:InvokeModel",
        "bedrock:InvokeModelWithResponseStream": "bedrock-runtime:InvokeModelWithResponseStream",
    }
    # Permissions, not operations.
    beside = {
        "iam:PassRole",
        "ec2:DeleteNetworkInterfacePermission",
        "ec2:CreateNetworkInterfacePermission",
    }
    seen = set()
    for rows in policies_of(resources).values():
        for row in rows:
            seen.update(aslist(row["Action"]))
    assert len(seen) > 30
    for action in seen - beside:
        service, _, operation = names.get(action, action).partition(":")
        model = session.get_service_model(service)
        assert operation in model.operation_names, action


def anything():
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10_000),
        st.text(max_size=12),
        st.tuples(),
        st.lists(st.text(max_size=5), max_size=2),
        st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    )


def mostly(good):
    """Something possible, now and then something else."""
    return st.integers(0, 24).flatmap(lambda dice: anything() if dice == 0 else good)


CONFIGURATIONS = st.fixed_dictionaries(
    {
        "name": mostly(st.from_regex(r"[a-z][a-z0-9-]{0,19}", fullmatch=True)),
        "regions": mostly(
            st.lists(
                st.sampled_from(["us-east-1", "us-west-2", "eu-west-1", "us-gov-west-1"]),
                min_size=1,
                max_size=2,
            ).map(tuple)
        ),
        "base_models": mostly(
            st.lists(st.sampled_from([model.key for model in CATALOG][:12]), max_size=3).map(tuple)
        ),
    },
    optional={
        "account": mostly(st.from_regex(r"[0-9]{12}", fullmatch=True)),
        "data_prefix": mostly(st.sampled_from(["tunestack", "a/b", "x-y"])),
        "retain_data": mostly(st.booleans()),
        "model_key": mostly(st.booleans()),
        "dashboard": mostly(st.booleans()),
        "alert_email": mostly(st.just("a@example.com")),
        "monthly_budget_usd": mostly(st.integers(1, 10_000)),
        "endpoints": mostly(
            st.fixed_dictionaries(
                {},
                optional={
                    "default_hours": mostly(st.integers(1, 30)),
                    "max_hours": mostly(st.integers(1, 100)),
                    "provisioned": mostly(st.booleans()),
                },
            )
        ),
        "extra_data": mostly(
            st.just(({"uri": "s3://elsewhere/data/", "account": "999999999999"},))
        ),
        "roles": mostly(st.just({"tuners": ("arn:aws:iam::123456789012:role/a",), "viewers": ()})),
        "network": mostly(
            st.just(
                {"vpc_id": "vpc-0a1b2c3d", "subnet_ids": ("subnet-0a1b2c3d", "subnet-1a2b3c4d")}
            )
        ),
        "permissions_boundary": mostly(st.just("boundary")),
        "qualifier": mostly(st.just("team")),
    },
)
SURPRISING = st.tuples(CONFIGURATIONS, st.integers(0, 24)).map(
    lambda drawn: drawn[0] | ({"surprise": 1} if drawn[1] == 0 else {})
)


def made_or_refused(configuration, synthesized):
    try:
        stage = Stage(**configuration)
    except StageError as error:
        text = str(error)
        assert "\n" not in text
        assert "can't be deployed: " in text
        assert len(text) < 4000
        return False
    for region in stage.regions[:1]:
        template = synthesized(stage, region).to_json()
        assert len(template["Resources"]) > 30
        Resolver(template, region=region).resolved()
    return True


FUZZ = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=25, derandomize=True, **FUZZ)
@given(configuration=SURPRISING)
def test_a_stage_is_made_or_refused_in_words(synthesized, configuration):
    made_or_refused(configuration, synthesized)


@pytest.mark.campaign
def test_five_thousand_stages_are_made_or_refused_in_words(synthesized, figure):
    made = []

    @settings(max_examples=5000, derandomize=True, **FUZZ)
    @given(configuration=SURPRISING)
    def run(configuration):
        made.append(made_or_refused(configuration, synthesized))

    run()
    figure(f"{len(made)} stages at random: {sum(made)} synthesized, the others refused in words")
    assert len(made) >= 5000
    assert 400 < sum(made) < 4600


def test_the_construct_is_used_in_another_app_as_the_guide_shows():
    guide = (ROOT / "docs/infrastructure.md").read_text()
    (shown,) = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    my_stack = Stack(App(), "Mine", env=Environment(region="us-east-1"))
    my_role = iam.Role(my_stack, "MyRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    exec(compile(shown, "guide", "exec"), {"my_stack": my_stack, "my_role": my_role})
    template = Template.from_stack(my_stack)
    (policy,) = [
        row["Properties"]
        for name, row in template.find_resources("AWS::IAM::ManagedPolicy").items()
        if name.startswith("TunestackAccessTuner")
    ]
    (role,) = policy["Roles"]
    assert role["Ref"].startswith("MyRole")
