"""Managed policies for the users of a stage, and roles for the principals that the stage lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from tunestack_cdk.constructs.run_statements import RunStatements

if TYPE_CHECKING:
    from tunestack_cdk.constructs.access_statements import AccessResources
    from tunestack_cdk.constructs.runs import Runs
    from tunestack_cdk.stage import Oidc

    Identity = iam.IRole | iam.IUser | iam.IGroup

_MAX_SESSION_DURATION = Duration.hours(1)


class Access(Construct):
    """The policies *tuner*, *runner*, *invoker* and *viewer*, and a role for each that the stage lists principals for.

    Attributes:
        policies: managed policies by name: `tuner`, `runner`, `invoker` and `viewer`. Who has `tuner` needs `runner` for runs.
        roles: roles by name: `tuner`, `invoker`, `viewer` and `ci`, as far as the stage lists principals.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, resources: AccessResources, runs: Runs
    ) -> None:
        super().__init__(scope, construct_id)
        self.policies = self._create_policies(resources, runs)
        self.roles: dict[str, iam.Role] = {}
        roles = resources.stage.roles
        for name, principals in (
            ("tuner", roles.tuners),
            ("invoker", roles.invokers),
            ("viewer", roles.viewers),
        ):
            if principals:
                trusted = [iam.ArnPrincipal(principal) for principal in principals]
                self._create_role(name, user=name, principal=iam.CompositePrincipal(*trusted))
        if roles.ci is not None:
            self._create_role("ci", user="tuner", principal=_create_oidc_principal(roles.ci))

    def grant(self, user: str, identity: Identity) -> None:
        """Attach the policies of a kind of user to a role, user or group, which can be part of another stack.

        `ManagedPolicy.attach_to_role` would make this stack depend on the stack of the role, which depends on this stack as
        soon as it uses one of its values. The dependency goes the other way here.
        """
        for managed_policy in self._policies_of(user):
            _attach(managed_policy, identity)

    def _policies_of(self, user: str) -> list[iam.ManagedPolicy]:
        names = ("tuner", "runner") if user == "tuner" else (user,)
        return [self.policies[name] for name in names]

    def _create_policies(
        self, resources: AccessResources, runs: Runs
    ) -> dict[str, iam.ManagedPolicy]:
        statements = RunStatements(resources)
        # CloudFormation replaces a policy if its description changes.
        return {
            name: iam.ManagedPolicy(
                self, name.title(), description=description, statements=list(rows)
            )
            for name, description, rows in (
                (
                    "tuner",
                    "Fine-tune with Tunestack: submit, track, cancel; start, call, stop",
                    statements.tuner(),
                ),
                (
                    "runner",
                    "Start, follow and cancel runs; in addition to the policy of tuners",
                    statements.runner(runs),
                ),
                ("invoker", "Call what was tuned with Tunestack", statements.invoker()),
                ("viewer", "See jobs, endpoints and losses of Tunestack", statements.viewer()),
            )
        }

    def _create_role(self, name: str, *, user: str, principal: iam.IPrincipal) -> None:
        self.roles[name] = iam.Role(
            self,
            f"{name.title()}Role",
            description=f"Tunestack {user}, for the principals that the stage lists",
            assumed_by=principal,
            managed_policies=self._policies_of(user),
            max_session_duration=_MAX_SESSION_DURATION,
        )


def _attach(managed_policy: iam.ManagedPolicy, identity: Identity) -> None:
    if isinstance(identity, iam.Role | iam.User | iam.Group):
        identity.add_managed_policy(managed_policy)
    # An imported identity belongs to no stack, and ignores `add_managed_policy`.
    elif hasattr(identity, "role_arn"):
        managed_policy.attach_to_role(cast("iam.IRole", identity))
    elif hasattr(identity, "user_arn"):
        managed_policy.attach_to_user(cast("iam.IUser", identity))
    else:
        managed_policy.attach_to_group(identity)


def _create_oidc_principal(ci: Oidc) -> iam.WebIdentityPrincipal:
    issuer = ci.provider_arn.split(":oidc-provider/", 1)[1]
    return iam.WebIdentityPrincipal(
        ci.provider_arn,
        conditions={
            "StringEquals": {f"{issuer}:aud": ci.audience},
            "StringLike": {f"{issuer}:sub": list(ci.subjects)},
        },
    )
