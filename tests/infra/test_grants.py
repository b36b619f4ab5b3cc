"""The grant methods of the construct work for roles, users and groups of any stack of an app, and for imported ones."""

import pytest
from aws_cdk import App, CfnOutput, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from stages import STAGES
from tunestack_cdk import Tunestack

ENVIRONMENT = Environment(account="111122223333", region="us-east-1")


@pytest.fixture
def app():
    return App()


@pytest.fixture
def tunestack(app):
    stack = Stack(app, "Platform", env=ENVIRONMENT)
    return Tunestack(stack, "Tunestack", stage=STAGES["dev"], region="us-east-1")


@pytest.fixture
def application(app, tunestack):
    """A stack that uses a value of the platform stack, so it depends on it."""
    stack = Stack(app, "Application", env=ENVIRONMENT)
    CfnOutput(stack, "Bucket", value=tunestack.data.bucket.bucket_name)
    return stack


def create_role(stack):
    return iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def attached_policies(stack, resource_type):
    (resource,) = Template.from_stack(stack).find_resources(resource_type).values()
    return str(resource["Properties"].get("ManagedPolicyArns", []))


@pytest.mark.parametrize(
    ("grant", "policy"),
    [("grant_tune", "Tuner"), ("grant_invoke", "Invoker"), ("grant_view", "Viewer")],
)
def test_role_of_another_stack_gets_the_policy(app, tunestack, application, grant, policy):
    getattr(tunestack, grant)(create_role(application))
    app.synth()
    assert f"Access{policy}" in attached_policies(application, "AWS::IAM::Role")


def test_attach_to_role_of_another_stack_is_a_cycle(app, tunestack, application):
    """Negative control: this is why the grant methods exist."""
    tunestack.access.policies["tuner"].attach_to_role(create_role(application))
    with pytest.raises(RuntimeError, match="cyclic reference"):
        app.synth()


@pytest.mark.parametrize(
    ("create", "resource_type"),
    [
        (lambda stack: iam.User(stack, "User"), "AWS::IAM::User"),
        (lambda stack: iam.Group(stack, "Group"), "AWS::IAM::Group"),
    ],
)
def test_user_or_group_of_another_stack_gets_the_policy(
    app, tunestack, application, create, resource_type
):
    tunestack.grant_invoke(create(application))
    app.synth()
    assert "AccessInvoker" in attached_policies(application, resource_type)


@pytest.mark.parametrize(
    ("import_identity", "key", "name"),
    [
        (lambda stack: iam.Role.from_role_name(stack, "Role", "team"), "Roles", "team"),
        (
            lambda stack: iam.Role.from_role_arn(
                stack, "Role", "arn:aws:iam::111122223333:role/team"
            ),
            "Roles",
            "team",
        ),
        (lambda stack: iam.User.from_user_name(stack, "User", "ann"), "Users", "ann"),
        (lambda stack: iam.Group.from_group_name(stack, "Group", "all"), "Groups", "all"),
    ],
)
def test_imported_identity_gets_the_policy(app, tunestack, application, import_identity, key, name):
    tunestack.grant_tune(import_identity(application))
    app.synth()
    policies = Template.from_stack(Stack.of(tunestack)).find_resources("AWS::IAM::ManagedPolicy")
    (policy,) = [row for name_, row in policies.items() if "AccessTuner" in name_]
    assert policy["Properties"][key] == [name]
