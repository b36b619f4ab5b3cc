"""Authentication and authorization at Bedrock with users, roles and sessions of the sandbox's IAM."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_DEPLOYMENT, A_JOB, NOVA
from tunestack import Poll, Tuner

ACCOUNT = "123456789012"
EVERYTHING = {"Effect": "Allow", "Action": "bedrock:*", "Resource": "*"}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def iam(sandbox):
    return boto3.client("iam")


@pytest.fixture
def session_of(iam):
    """Return a function that creates a role with statements or a managed policy, and returns a session of it."""
    made: list[str] = []

    def make(*statements, managed=None, policy=None, boundary=None, region="us-east-1"):
        name = f"role-{len(made)}"
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        more = {"PermissionsBoundary": boundary} if boundary else {}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), **more)[
            "Role"
        ]["Arn"]
        made.append(name)
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="own", PolicyDocument=document(*statements)
            )
        if managed:
            iam.attach_role_policy(RoleName=name, PolicyArn=managed)
        passed = {"Policy": document(*policy)} if policy else {}
        found = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="ann", **passed)
        keys = found["Credentials"]
        return boto3.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name=region,
        )

    yield make
    for name in made:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)


@pytest.fixture
def tuner_policy(sandbox):
    """Return the managed policy that the stack exports."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName="Tunestack-dev-us-east-1")[
        "Stacks"
    ]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    return outputs["TunerPolicyArn"]


def why(call, *arguments, **parameters):
    with pytest.raises(ClientError) as error:
        call(*arguments, **parameters)
    answer = error.value.response
    assert (
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
    ) == ("AccessDeniedException", 403)
    return answer["Error"]["Message"]


def test_a_role_without_policies_gets_the_access_denied_message_of_aws(session_of):
    client = session_of().client("bedrock")
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/role-0/ann"
    assert (
        f"User: {arn} is not authorized to perform: bedrock:ListModelCustomizationJobs "
        "because no identity-based policy allows the bedrock:ListModelCustomizationJobs action"
    ) == why(client.list_model_customization_jobs)
    job = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-customization-job/{NOVA}/0123456789ab"
    assert (
        f"User: {arn} is not authorized to perform: bedrock:GetModelCustomizationJob "
        f"on resource: {job} because no identity-based policy allows the "
        "bedrock:GetModelCustomizationJob action"
    ) == why(client.get_model_customization_job, jobIdentifier=job)


def test_a_job_needs_its_base_model_its_role_and_its_tags(session_of, job_request):
    request = job_request(jobTags=[{"key": "team", "value": "search"}])
    create = {**EVERYTHING, "Action": "bedrock:CreateModelCustomizationJob"}
    role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": request["roleArn"]}
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    other_model = {**create, "Resource": "arn:aws:bedrock:*::foundation-model/meta.*"}

    def refusal(*statements):
        client = session_of(*statements).client("bedrock")
        return why(client.create_model_customization_job, **request)

    assert f"on resource: arn:aws:bedrock:us-east-1::foundation-model/{NOVA}" in refusal(
        other_model
    )
    assert f"iam:PassRole on resource: {request['roleArn']}" in refusal(create)
    assert "iam:PassRole" in refusal(create, {**role, "Condition": to_lambda})
    assert "bedrock:TagResource" in refusal(create, role)
    tag = {**EVERYTHING, "Action": "bedrock:TagResource"}
    client = session_of(create, role, tag).client("bedrock")
    assert client.create_model_customization_job(**request)["jobArn"]


@pytest.mark.parametrize(
    ("condition", "tags", "refused"),
    [
        ({"Null": {"aws:RequestTag/expires-at": "false"}}, [], True),
        ({"Null": {"aws:RequestTag/expires-at": "false"}}, ["expires-at"], False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["expires-at"]}}, ["other"], True),
        ({"StringEquals": {"aws:RequestedRegion": "us-west-2"}}, [], True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, [], False),
        ({"Bool": {"aws:SecureTransport": "false"}}, [], True),
    ],
)
def test_conditions_on_a_request_are_evaluated(session_of, model, condition, tags, refused):
    """For example, a policy that enforces the expiry time of endpoints."""
    allow = {**EVERYTHING, "Condition": condition}
    also = {**EVERYTHING, "Action": "bedrock:TagResource"}
    client = session_of(allow, also).client("bedrock")

    def deploy():
        return client.create_custom_model_deployment(
            modelDeploymentName="d",
            modelArn=model,
            tags=[{"key": key, "value": "x"} for key in tags],
        )

    if refused:
        assert "bedrock:CreateCustomModelDeployment" in why(deploy)
    else:
        assert deploy()["customModelDeploymentArn"]


def test_tags_of_the_resource_are_evaluated(sandbox, session_of, bedrock, create):
    mine = create("mine", jobTags=[{"key": "team", "value": "search"}])
    yours = create("yours")
    own = {**EVERYTHING, "Condition": {"StringEquals": {"aws:ResourceTag/team": "search"}}}
    client = session_of(own).client("bedrock")
    client.stop_model_customization_job(jobIdentifier=mine)
    assert "StopModelCustomizationJob" in why(
        client.stop_model_customization_job, jobIdentifier=yours
    )


def test_explicit_deny_boundary_and_session_policy_are_evaluated(session_of, iam):
    def listing(**made):
        return session_of(EVERYTHING, **made).client("bedrock").list_custom_models

    deny = {**EVERYTHING, "Effect": "Deny"}
    client = session_of(EVERYTHING, deny).client("bedrock")
    assert "with an explicit deny in an identity-based policy" in why(client.list_custom_models)
    other = {**EVERYTHING, "Action": "s3:*"}
    assert "because no session policy allows" in why(listing(policy=[other]))
    arn = iam.create_policy(PolicyName="bound", PolicyDocument=document(other))["Policy"]["Arn"]
    assert "because no permissions boundary allows" in why(listing(boundary=arn))


def test_a_user_has_the_policies_of_their_groups(sandbox, iam):
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="tuners")
    iam.add_user_to_group(UserName="ann", GroupName="tuners")
    keys = iam.create_access_key(UserName="ann")["AccessKey"]
    client = boto3.client(
        "bedrock",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )
    assert f"User: arn:aws:iam::{ACCOUNT}:user/ann is not" in why(client.list_custom_models)
    iam.put_group_policy(GroupName="tuners", PolicyName="own", PolicyDocument=document(EVERYTHING))
    assert client.list_custom_models()["modelSummaries"] == []


def test_permissions_are_checked_without_requests_to_the_emulator(session_of, requests):
    """Each request of a run would need six more, and hundreds of jobs would take hours."""
    client = session_of(EVERYTHING).client("bedrock")
    before = requests.total
    client.list_custom_models()
    assert requests.total == before + 1


def test_a_session_ends_by_the_sandboxs_clock(sandbox, session_of):
    client = session_of(EVERYTHING).client("bedrock")
    client.list_custom_models()
    sandbox.clock.advance(3601)
    with pytest.raises(ClientError, match="The security token included in the request is expired"):
        client.list_custom_models()


def test_a_key_that_names_an_account_is_its_root(bedrock):
    other = boto3.client("bedrock", aws_access_key_id="210987654321", aws_secret_access_key="x")
    assert other.list_custom_models()["modelSummaries"] == []


def test_the_whole_of_the_sdk_runs_with_the_stacks_policy_alone(
    sandbox, session_of, tuner_policy, chat
):
    """The policy is sufficient at Bedrock for jobs, endpoints, invocation and lists."""
    poll = Poll(sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
    # The session expires when the clock advances, so each step assumes the role again.
    tuner = Tuner(session=session_of(managed=tuner_policy), poll=poll)
    job = tuner.submit("nova-micro", chat)
    sandbox.clock.advance(A_JOB)
    tuner = Tuner(session=session_of(managed=tuner_policy), poll=poll)
    job = tuner.job(job.id)
    job.wait()
    job.start_endpoint()
    assert job.endpoint().invoke("What is number 7?") == "It is 7."
    assert [job.id] == [other.id for other in tuner.jobs()]
    assert len(list(tuner.endpoints())) == 1
    job.stop_endpoint()
    sandbox.clock.advance(A_DEPLOYMENT)
    tuner = Tuner(session=session_of(managed=tuner_policy), poll=poll)
    assert job.model is not None
    tuner.custom_model(job.model).delete()
    assert list(tuner.custom_models()) == []


@pytest.mark.parametrize("tags", [[], [{"key": "tunestack:stage", "value": "prod"}]])
def test_a_tuner_deletes_no_model_without_the_tag_of_its_stage(
    sandbox, session_of, tuner_policy, create, bedrock, tags
):
    create(customModelTags=tags)
    sandbox.clock.advance(A_JOB)
    mine = session_of(managed=tuner_policy).client("bedrock")
    assert mine.get_custom_model(modelIdentifier="job")["modelName"] == "job"
    assert "bedrock:DeleteCustomModel " in why(mine.delete_custom_model, modelIdentifier="job")
    assert bedrock.get_custom_model(modelIdentifier="job")["modelName"] == "job"


LIST = """
import boto3, botocore.exceptions
try:
    boto3.client("bedrock").list_custom_models()
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"], error.response["Error"]["Message"])
else:
    print("fine")
"""


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, "fine"), (-2, "Signature expired: "), (2, "Signature not yet current: ")],
)
def test_a_signature_with_a_wrong_time_is_rejected(sandbox, hours, expected):
    """Signatures of a client with a wrong clock are rejected; an advanced clock of the sandbox has no effect."""
    sandbox.clock.advance(86_400)
    when = datetime.now(UTC) + timedelta(hours=hours)
    code = (
        "import botocore.auth, datetime\n"
        f"botocore.auth.get_current_datetime = lambda *_, **__: datetime.datetime({when:%Y,%-m,%-d,%-H,%-M,%-S})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", (code if hours else "") + LIST],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert expected in done.stdout
    assert "InvalidSignatureException" in done.stdout or not hours


def test_credentials_can_expire_as_a_fault(sandbox, bedrock):
    sandbox.faults.add("expired-credentials", times=1)
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        boto3.client(
            "bedrock", config=Config(retries={"total_max_attempts": 1})
        ).list_custom_models()
    bedrock.list_custom_models()
