"""Checks of buckets, KMS keys and the deployment parameter."""

import json

from tests.infra.invariants.base import (
    DATA_BUCKET,
    GUARD_DEAD_LETTERS,
    JOB_QUEUE,
    LOG_BUCKET,
    Checks,
)
from tunestack.catalog import CATALOG


class DataChecks(Checks):
    """Data is private, encrypted and versioned, and current objects never expire."""

    def check_s3_bucket(self, name, properties, _):
        self.check_properties(
            name,
            properties,
            OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            VersioningConfiguration={"Status": "Enabled"},
            BucketName=None,
            LoggingConfiguration={"DestinationBucketName": LOG_BUCKET, "LogFilePrefix": "access/"}
            if name == DATA_BUCKET
            else None,
        )
        key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.data_key_arn}
        encryption = {
            DATA_BUCKET: [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": key}],
            LOG_BUCKET: [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}],
        }[name]
        self.check_properties(
            name,
            properties,
            BucketEncryption={"ServerSideEncryptionConfiguration": encryption},
        )
        noncurrent = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled"}
        expire = {
            # Current objects do not expire.
            DATA_BUCKET: {"Id": "ExpireOldVersions", "ExpiredObjectDeleteMarker": True}
            | noncurrent,
            LOG_BUCKET: {"Id": "Expire", "ExpirationInDays": 90} | noncurrent,
        }[name]
        abort = {
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            "Id": "AbortUploads",
            "Status": "Enabled",
        }
        self.check_properties(name, properties, LifecycleConfiguration={"Rules": [abort, expire]})

    def check_s3_bucketpolicy(self, name, properties, _):
        bucket = properties.get("Bucket")
        deny = {
            "Effect": "Deny",
            "Action": "s3:*",
            "Principal": {"AWS": "*"},
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        statements = [
            {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {**deny, "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}},
        ]
        if bucket == LOG_BUCKET:
            statements.append(
                {
                    "Effect": "Allow",
                    "Action": "s3:PutObject",
                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                    "Resource": f"arn:aws:s3:::{LOG_BUCKET}/access/*",
                    "Condition": {
                        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{DATA_BUCKET}"},
                        "StringEquals": {"aws:SourceAccount": self.account},
                    },
                }
            )
        self.check_equal(name, "bucket", bucket in (DATA_BUCKET, LOG_BUCKET), True)
        self.check_statements(name, properties, statements)

    def check_kms_key(self, name, properties, _):
        self.check_properties(
            name, properties, EnableKeyRotation=True, Enabled=None, KeySpec=None, Origin=None
        )
        statements = [
            {
                "Effect": "Allow",
                "Action": "kms:*",
                "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
                "Resource": "*",
            }
        ]
        if name.startswith("Operations"):
            log_groups = self.arn("logs", "log-group:STACK-*")
            statements += [
                {
                    "Effect": "Allow",
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
                },
                {
                    # EventBridge supports no conditions in the policy of the key of an encrypted target (SNS developer
                    # guide, sns-key-management, read 2026-11-28).
                    "Effect": "Allow",
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Resource": "*",
                },
                {
                    # CloudWatch Logs user guide, encrypt-log-data-kms, read 2026-11-28.
                    "Effect": "Allow",
                    "Action": [
                        "kms:Decrypt*",
                        "kms:Describe*",
                        "kms:Encrypt*",
                        "kms:GenerateDataKey*",
                        "kms:ReEncrypt*",
                    ],
                    "Principal": {"Service": f"logs.{self.region}.amazonaws.com"},
                    "Resource": "*",
                    "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
                },
            ]
        self.check_statements(name, properties, statements, key="KeyPolicy")

    def check_ssm_parameter(self, name, properties, _):
        self.check_properties(
            name,
            properties,
            Name=f"/tunestack/{self.stage.name}/deployment",
            Type="String",
        )
        deployment = json.loads(properties.get("Value", "{}"))
        self.check_equal(name, "the deployment", deployment, self.expected_deployment())

    def expected_deployment(self):
        stage, network = self.stage, self.stage.network
        return {
            "account": self.account,
            "base_models": [
                key for key in stage.base_models if self.region in CATALOG[key].regions
            ],
            "data_bucket": DATA_BUCKET,
            "data_key_arn": self.data_key_arn,
            "data_locations": [
                f"s3://{DATA_BUCKET}/{stage.data_prefix}/datasets/",
                *(location.uri for location in stage.extra_data_locations),
            ],
            "data_owners": [
                self.account,
                *(location.owner or self.account for location in stage.extra_data_locations),
            ],
            "data_prefix": stage.data_prefix,
            "dead_letters_arn": self.queue_arn(GUARD_DEAD_LETTERS),
            "default_endpoint_hours": stage.default_endpoint_hours,
            "event_queue_url": JOB_QUEUE,
            "state_machine_arn": self.arn("states", f"stateMachine:tunestack-{self.stage.name}"),
            "guard_arn": self.function_arn,
            "job_role_arn": f"arn:aws:iam::{self.account}:role/AmazonBedrockJobRole83283ADC",
            "max_endpoint_hours": stage.max_endpoint_hours,
            "model_key_arn": self.arn("kms", "key/ModelKey797AAF76") if stage.model_key else None,
            "region": self.region,
            "schedule_group": "GuardSchedulesE7822186",
            "scheduler_role_arn": f"arn:aws:iam::{self.account}:role/GuardSchedulerRole993ADB63",
            "run_evaluation": stage.run_evaluation,
            "security_group_ids": [] if network is None else ["NetworkJobsEE1435FB"],
            "stage": stage.name,
            "subnet_ids": [] if network is None else list(network.subnet_ids),
            "version": 1,
        }
