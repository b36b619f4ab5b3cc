"""The buckets for training data and job output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

_RETENTION = Duration.days(90)
"""Retention of noncurrent object versions and of access logs."""
_LOG_PREFIX = "access/"


class DataStore(Construct):
    """A private, encrypted, versioned bucket with its own KMS key, and a bucket for its access logs.

    Attributes:
        bucket: contains training data and job output.
        key: encrypts the bucket; rotated every year.
    """

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool) -> None:
        super().__init__(scope, construct_id)
        removal_policy = RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY
        self.key = kms.Key(
            self,
            "Key",
            description="Training data and output of fine-tuning jobs",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        log_bucket = self._create_bucket(
            "AccessLog",
            # S3 delivers access logs only to buckets with S3-managed encryption.
            encryption=s3.BucketEncryption.S3_MANAGED,
            # S3 delivers access logs for hours after the last request, so the bucket could not be deleted with the stack
            # (aws/aws-cdk#21776 and #16332, read 2026-11-28). Its lifecycle rule empties it.
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="Expire", expiration=_RETENTION, noncurrent_version_expiration=_RETENTION
                )
            ],
        )
        self.bucket = self._create_bucket(
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            removal_policy=removal_policy,
            # Without a bucket key, every object costs a request to KMS.
            bucket_key_enabled=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ExpireOldVersions",
                    noncurrent_version_expiration=_RETENTION,
                    expired_object_delete_marker=True,
                )
            ],
        )
        self._enable_access_logs(log_bucket)

    def _create_bucket(
        self, construct_id: str, *, lifecycle_rules: Sequence[s3.LifecycleRule], **options: Any
    ) -> s3.Bucket:
        # The parts of an interrupted upload are billed, and do not appear in listings.
        abort_uploads = s3.LifecycleRule(
            id="AbortUploads", abort_incomplete_multipart_upload_after=Duration.days(1)
        )
        return s3.Bucket(
            self,
            construct_id,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[abort_uploads, *lifecycle_rules],
            **options,
        )

    def _enable_access_logs(self, log_bucket: s3.Bucket) -> None:
        # Not `server_access_logs_bucket`: the permissions that it grants depend on the feature flags of the app.
        bucket = cast("s3.CfnBucket", self.bucket.node.default_child)
        bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=log_bucket.bucket_name, log_file_prefix=_LOG_PREFIX
        )
        log_bucket.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["s3:PutObject"],
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                resources=[log_bucket.arn_for_objects(f"{_LOG_PREFIX}*")],
                conditions={
                    "ArnLike": {"aws:SourceArn": self.bucket.bucket_arn},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )
