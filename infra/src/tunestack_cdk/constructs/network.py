"""Jobs in a private network that the account has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_cdk.stage import Network


class JobNetwork(Construct):
    """What jobs need in a network without a way to the internet: S3 and Bedrock are reached within AWS.

    Source: user guide, vpc-s3 and custom-model-job-access-security (read 2026-11-22). An interface endpoint is billed by the
    hour in each of its subnets' zones.

    Attributes:
        subnet_ids: where jobs get their network interfaces.
        security_group_id: of those.
    """

    def __init__(self, scope: Construct, construct_id: str, *, network: Network) -> None:
        super().__init__(scope, construct_id)
        self.subnet_ids = list(network.subnet_ids)
        self.security_group_id = ec2.CfnSecurityGroup(
            self,
            "Jobs",
            vpc_id=network.vpc_id,
            group_description="Fine-tuning jobs: no way in, and out over HTTPS only",
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_ip="0.0.0.0/0",
                    description="S3 and Bedrock, by the network's endpoints",
                )
            ],
        ).attr_group_id
        service = f"com.amazonaws.{Aws.REGION}"
        if network.route_table_ids:
            ec2.CfnVPCEndpoint(
                self,
                "S3",
                vpc_id=network.vpc_id,
                service_name=f"{service}.s3",
                vpc_endpoint_type="Gateway",
                route_table_ids=list(network.route_table_ids),
            )
        if network.bedrock_endpoints:
            self._reach_bedrock(network, service)

    def _reach_bedrock(self, network: Network, service: str) -> None:
        endpoints = ec2.CfnSecurityGroup(
            self,
            "Endpoints",
            vpc_id=network.vpc_id,
            group_description="Bedrock, for whoever is in this network",
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=443,
                    to_port=443,
                    source_security_group_id=self.security_group_id,
                    description="from jobs, and whatever else gets their security group",
                )
            ],
        )
        for name, suffix in (("Bedrock", "bedrock"), ("BedrockRuntime", "bedrock-runtime")):
            ec2.CfnVPCEndpoint(
                self,
                name,
                vpc_id=network.vpc_id,
                service_name=f"{service}.{suffix}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.subnet_ids,
                security_group_ids=[endpoints.attr_group_id],
            )

    def job_statements(self) -> Iterator[iam.PolicyStatement]:
        """List what jobs need to have network interfaces in the subnets, and remove them."""
        ec2_arn = f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        interfaces = f"{ec2_arn}:network-interface/*"
        subnets = [f"{ec2_arn}:subnet/{subnet}" for subnet in self.subnet_ids]
        jobs = (
            f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}:{Aws.ACCOUNT_ID}:model-customization-job/*"
        )
        tagged = "/BedrockManaged"
        of_job = "/BedrockModelCustomizationJobArn"
        yield iam.PolicyStatement(
            # Describe has no resource to name.
            sid="LookAtNetwork",
            actions=[
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],
        )
        yield iam.PolicyStatement(
            sid="MakeInterfaces",
            actions=["ec2:CreateNetworkInterface"],
            resources=[interfaces],
            conditions={
                "StringEquals": {f"aws:RequestTag{tagged}": "true"},
                "ArnEquals": {f"aws:RequestTag{of_job}": jobs},
            },
        )
        yield iam.PolicyStatement(
            sid="PlaceInterfaces",
            actions=["ec2:CreateNetworkInterface"],
            resources=[*subnets, f"{ec2_arn}:security-group/{self.security_group_id}"],
        )
        yield iam.PolicyStatement(
            sid="UseInterfaces",
            actions=[
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            resources=[interfaces],
            conditions={
                "ArnEquals": {"ec2:Subnet": subnets, f"aws:ResourceTag{of_job}": jobs},
            },
        )
        yield iam.PolicyStatement(
            sid="TagInterfaces",
            actions=["ec2:CreateTags"],
            resources=[interfaces],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}},
        )
