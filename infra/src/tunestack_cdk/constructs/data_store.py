"""Where training data and job output are kept."""

from __future__ import annotations

from typing import cast

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

_KEPT = Duration.days(90)
"""Old versions and access logs."""


class DataStore(Construct):
    """A private, encrypted, versioned bucket with a key of its own, and a bucket for the log of who read it.

    Attributes:
        bucket: holds training data and job output.
        key: encrypts them; rotated every year.
    """

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool) -> None:
        super().__init__(scope, construct_id)
        removal = RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY
        self.key = kms.Key(
            self,
            "Key",
            description="Training data and output of fine-tuning jobs",
            enable_key_rotation=True,
            removal_policy=removal,
        )
        log = s3.Bucket(
            self,
            "AccessLog",
            # S3 writes access logs to buckets with its own encryption only.
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                _abort_uploads(),
                s3.LifecycleRule(
                    id="Expire", expiration=_KEPT, noncurrent_version_expiration=_KEPT
                ),
            ],
            removal_policy=removal,
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            # One data key for many objects: without it, each object costs a call to KMS.
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            lifecycle_rules=[
                _abort_uploads(),
                s3.LifecycleRule(
                    id="ExpireOldVersions",
                    noncurrent_version_expiration=_KEPT,
                    expired_object_delete_marker=True,
                ),
            ],
            removal_policy=removal,
        )
        self._log_access(log)

    def _log_access(self, log: s3.Bucket) -> None:
        """Let S3 write who reads and writes; by CDK's own way, it depends on the app's feature flags who may."""
        prefix = "access/"
        bucket = cast("s3.CfnBucket", self.bucket.node.default_child)
        bucket.logging_configuration = s3.CfnBucket.LoggingConfigurationProperty(
            destination_bucket_name=log.bucket_name, log_file_prefix=prefix
        )
        log.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["s3:PutObject"],
                principals=[iam.ServicePrincipal("logging.s3.amazonaws.com")],
                resources=[log.arn_for_objects(f"{prefix}*")],
                conditions={
                    "ArnLike": {"aws:SourceArn": self.bucket.bucket_arn},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )


def _abort_uploads() -> s3.LifecycleRule:
    """What an upload that was killed half-way leaves behind is billed and invisible."""
    return s3.LifecycleRule(
        id="AbortUploads", abort_incomplete_multipart_upload_after=Duration.days(1)
    )
