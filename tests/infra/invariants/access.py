"""Checks of policies, roles and the network of jobs."""

from tests.infra.invariants.base import Checks


class AccessChecks(Checks):
    """Nothing is attached to users or groups, and jobs receive no connections.

    What the policies grant is proved in test_proofs.py.
    """

    def check_iam_managedpolicy(self, name, properties, _):
        self.check_properties(name, properties, Users=None, Groups=None, ManagedPolicyName=None)

    def check_iam_role(self, name, properties, _):
        boundary = self.stage.permissions_boundary
        arn = None if boundary is None else f"arn:aws:iam::{self.account}:policy/{boundary}"
        self.check_properties(
            name,
            properties,
            RoleName=None,
            Policies=None,
            PermissionsBoundary=arn,
            MaxSessionDuration=3600 if name.startswith("Access") else None,
        )

    def check_ec2_securitygroup(self, name, properties, _):
        https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
        self.check_properties(name, properties, VpcId=self.stage.network.vpc_id)
        egress, ingress = (
            [
                {key: value for key, value in rule.items() if key != "Description"}
                for rule in properties.get(f"SecurityGroup{direction}", [])
            ]
            for direction in ("Egress", "Ingress")
        )
        if name.startswith("NetworkJobs"):
            self.check_equal(name, "egress", egress, [{**https, "CidrIp": "0.0.0.0/0"}])
            self.check_equal(name, "ingress", ingress, [])
        else:
            jobs = {"SourceSecurityGroupId": "NetworkJobsEE1435FB"}
            self.check_equal(name, "egress", egress, [])
            self.check_equal(name, "ingress", ingress, [{**https, **jobs}])

    def check_ec2_vpcendpoint(self, name, properties, _):
        network = self.stage.network
        self.check_properties(name, properties, VpcId=network.vpc_id, PolicyDocument=None)
        service = properties.get("ServiceName", "").removeprefix(f"com.amazonaws.{self.region}.")
        if name.startswith("NetworkS3"):
            self.check_equal(name, "service", service, "s3")
            self.check_properties(
                name,
                properties,
                VpcEndpointType="Gateway",
                RouteTableIds=list(network.route_table_ids),
            )
        else:
            self.check_equal(name, "service", service in ("bedrock", "bedrock-runtime"), True)
            self.check_properties(
                name,
                properties,
                VpcEndpointType="Interface",
                PrivateDnsEnabled=True,
                SubnetIds=list(network.subnet_ids),
            )
