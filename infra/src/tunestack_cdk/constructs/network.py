"""Jobs in an existing private network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from tunestack_cdk.constructs.arns import customization_job_arns, regional_arn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack_cdk.stage import Network

_MANAGED_TAG = "BedrockManaged"
_JOB_TAG = "BedrockModelCustomizationJobArn"
"""Bedrock sets these two tags on the network interfaces of a job."""


class JobNetwork(Construct):
    """Security groups and VPC endpoints for jobs in a network without internet access.

    Source: user guide, vpc-s3 and custom-model-job-access-security (read 2026-11-22). Interface endpoints are billed by the
    hour in each Availability Zone.

    Attributes:
        subnet_ids: subnets for the network interfaces of jobs.
        security_group_id: security group of these interfaces.
    """

    # CloudFormation replaces a security group if its group description changes.

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
                    description="S3 and Bedrock through VPC endpoints",
                )
            ],
        ).attr_group_id
        if network.route_table_ids:
            ec2.CfnVPCEndpoint(
                self,
                "S3",
                vpc_id=network.vpc_id,
                service_name=_get_service_name("s3"),
                vpc_endpoint_type="Gateway",
                route_table_ids=list(network.route_table_ids),
            )
        if network.bedrock_endpoints:
            self._create_bedrock_endpoints(network)

    def _create_bedrock_endpoints(self, network: Network) -> None:
        security_group = ec2.CfnSecurityGroup(
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
                    description="Jobs, and other resources with their security group",
                )
            ],
        )
        for construct_id, service in (
            ("Bedrock", "bedrock"),
            ("BedrockRuntime", "bedrock-runtime"),
        ):
            ec2.CfnVPCEndpoint(
                self,
                construct_id,
                vpc_id=network.vpc_id,
                service_name=_get_service_name(service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.subnet_ids,
                security_group_ids=[security_group.attr_group_id],
            )

    def job_statements(self) -> Iterator[iam.PolicyStatement]:
        """Return the statements that let jobs create, use and delete network interfaces in the subnets."""
        interfaces = regional_arn("ec2", "network-interface/*")
        subnets = [regional_arn("ec2", f"subnet/{subnet}") for subnet in self.subnet_ids]
        security_group = regional_arn("ec2", f"security-group/{self.security_group_id}")
        jobs = customization_job_arns()
        yield iam.PolicyStatement(
            # The Describe actions do not support resource-level permissions.
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
                "StringEquals": {f"aws:RequestTag/{_MANAGED_TAG}": "true"},
                "ArnEquals": {f"aws:RequestTag/{_JOB_TAG}": jobs},
            },
        )
        yield iam.PolicyStatement(
            sid="PlaceInterfaces",
            actions=["ec2:CreateNetworkInterface"],
            resources=[*subnets, security_group],
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
                "ArnEquals": {"ec2:Subnet": subnets, f"aws:ResourceTag/{_JOB_TAG}": jobs},
            },
        )
        yield iam.PolicyStatement(
            sid="TagInterfaces",
            actions=["ec2:CreateTags"],
            resources=[interfaces],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"}},
        )


def _get_service_name(service: str) -> str:
    return f"com.amazonaws.{Aws.REGION}.{service}"
