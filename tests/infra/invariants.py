"""What must hold of every stack of every stage, beside what policies of roles say, which is proved.

Works on a resolved template; each finding says what is wrong with what. Written from what has to be protected, not from the
code that does it.
"""

import json
from pathlib import Path

from tunestack.catalog import CATALOG

HANDLER = (
    Path(__file__).parents[2] / "infra/src/tunestack_cdk/constructs/endpoint_guard_handler.py"
).read_text()
DATA, LOG = "DataBucketE6B0FAA8", "DataAccessLogF8C4FD7F"
STATEFUL = {"AWS::S3::Bucket", "AWS::KMS::Key"}
UNTAGGED = {
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::VPCEndpoint",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
MINUTES_5 = "rate(5 minutes)"


class Invariants:
    """Holds one stack against what must hold."""

    def __init__(self, resources, stage, region):
        self.resources, self.stage, self.region = resources, stage, region
        self.account = stage.account or "111122223333"
        self.found = []

    def findings(self):
        """Everything that does not hold."""
        self.kinds()
        for name, row in self.resources.items():
            check = getattr(self, row["Type"].split("::", 1)[1].replace("::", "_").lower(), None)
            if check is None:
                self.found.append(f"{name}: nobody knows what must hold of a {row['Type']}")
                continue
            check(name, row.get("Properties", {}), row)
            self.common(name, row)
        return self.found

    def kinds(self):
        """What there is: nothing is missing, nothing is there that nobody expects."""
        expected = {
            "AWS::CloudWatch::Alarm": 5,
            "AWS::CloudWatch::Dashboard": int(self.stage.dashboard),
            "AWS::Budgets::Budget": int(self.region == self.stage.regions[0]),
            "AWS::Events::Rule": 3,
            "AWS::IAM::ManagedPolicy": 6,
            "AWS::IAM::Role": 3 + len(self.roles()),
            "AWS::KMS::Key": 2 + self.stage.model_key,
            "AWS::Lambda::EventInvokeConfig": 1,
            "AWS::Lambda::Function": 1,
            "AWS::Lambda::Permission": 1,
            "AWS::Logs::LogGroup": 1,
            "AWS::S3::Bucket": 2,
            "AWS::S3::BucketPolicy": 2,
            "AWS::SNS::Subscription": 1,
            "AWS::SNS::Topic": 1,
            "AWS::SNS::TopicPolicy": 1,
            "AWS::SQS::Queue": 3,
            "AWS::SQS::QueuePolicy": 3,
            "AWS::SSM::Parameter": 1,
            "AWS::Scheduler::ScheduleGroup": 1,
        }
        network = self.stage.network
        if network is not None:
            expected["AWS::EC2::SecurityGroup"] = 1 + network.bedrock_endpoints
            expected["AWS::EC2::VPCEndpoint"] = bool(network.route_table_ids) + 2 * (
                network.bedrock_endpoints
            )
        counted = dict.fromkeys(expected, 0)
        for row in self.resources.values():
            counted[row["Type"]] = counted.get(row["Type"], 0) + 1
        self.equal("the stack", "kinds of resources", counted, expected)

    def roles(self):
        roles = self.stage.roles
        return [found for found in (roles.tuners, roles.invokers, roles.viewers, roles.ci) if found]

    def equal(self, name, what, value, expected):
        if value != expected:
            self.found.append(f"{name}: {what} is {value!r}, not {expected!r}")

    def has(self, name, properties, **expected):
        for key, value in expected.items():
            self.equal(name, key, properties.get(key), value)

    def common(self, name, row):
        kept = "Retain" if self.stage.retain_data else "Delete"
        if row["Type"] in STATEFUL:
            self.equal(name, "DeletionPolicy", row.get("DeletionPolicy"), kept)
            self.equal(name, "UpdateReplacePolicy", row.get("UpdateReplacePolicy"), kept)
        elif row["Type"] in ("AWS::SQS::Queue", "AWS::Logs::LogGroup"):
            # What they hold is of no use without the stack.
            self.equal(name, "DeletionPolicy", row.get("DeletionPolicy"), "Delete")
            self.equal(name, "UpdateReplacePolicy", row.get("UpdateReplacePolicy"), "Delete")
        if row["Type"] not in UNTAGGED:
            # A budget names them otherwise.
            key = "ResourceTags" if row["Type"] == "AWS::Budgets::Budget" else "Tags"
            tags = row.get("Properties", {}).get(key, {})
            named = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            self.equal(name, "tags", named, {"tunestack:stage": self.stage.name})

    def arn(self, service, rest):
        return f"arn:aws:{service}:{self.region}:{self.account}:{rest}"

    def s3_bucket(self, name, properties, _):
        self.has(
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
            LoggingConfiguration={"DestinationBucketName": LOG, "LogFilePrefix": "access/"}
            if name == DATA
            else None,
        )
        key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.arn("kms", "key/DataKey5F086070")}
        encrypted = {
            DATA: [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": key}],
            LOG: [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}],
        }[name]
        self.has(
            name,
            properties,
            BucketEncryption={"ServerSideEncryptionConfiguration": encrypted},
        )
        old = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled"}
        rules = {
            # Of what is current, nothing expires.
            DATA: {"Id": "ExpireOldVersions", "ExpiredObjectDeleteMarker": True, **old},
            LOG: {"Id": "Expire", "ExpirationInDays": 90, **old},
        }[name]
        abort = {
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            "Id": "AbortUploads",
            "Status": "Enabled",
        }
        self.has(name, properties, LifecycleConfiguration={"Rules": [abort, rules]})

    def s3_bucketpolicy(self, name, properties, _):
        bucket = properties.get("Bucket")
        everything = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        deny = {"Effect": "Deny", "Action": "s3:*", "Principal": {"AWS": "*"}}
        rows = [
            {
                **deny,
                "Resource": everything,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                **deny,
                "Resource": everything,
                "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}},
            },
        ]
        if bucket == LOG:
            rows.append(
                {
                    "Effect": "Allow",
                    "Action": "s3:PutObject",
                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                    "Resource": f"arn:aws:s3:::{LOG}/access/*",
                    "Condition": {
                        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{DATA}"},
                        "StringEquals": {"aws:SourceAccount": self.account},
                    },
                }
            )
        self.equal(name, "bucket", bucket in (DATA, LOG), True)
        self.statements(name, properties, rows)

    def statements(self, name, properties, expected, key="PolicyDocument"):
        document = properties.get(key, {})
        rows = [
            {part: value for part, value in row.items() if part != "Sid"}
            for row in document.get("Statement", [])
        ]
        self.equal(name, "version of the policy", document.get("Version"), "2012-10-17")
        self.equal(name, "policy", rows, expected)

    def kms_key(self, name, properties, _):
        self.has(name, properties, EnableKeyRotation=True, Enabled=None, KeySpec=None, Origin=None)
        rows = [
            {
                "Effect": "Allow",
                "Action": "kms:*",
                "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
                "Resource": "*",
            }
        ]
        if name.startswith("Operations"):
            group = self.arn("logs", "log-group:STACK-*")
            rows += [
                {
                    "Effect": "Allow",
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Principal": {
                        "Service": [
                            "budgets.amazonaws.com",
                            "cloudwatch.amazonaws.com",
                            "events.amazonaws.com",
                        ]
                    },
                    "Resource": "*",
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
                },
                {
                    "Effect": "Allow",
                    "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
                    "Principal": {"Service": f"logs.{self.region}.amazonaws.com"},
                    "Resource": "*",
                    "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": group}},
                },
            ]
        self.statements(name, properties, rows, key="KeyPolicy")

    @property
    def operations_key(self):
        return self.arn("kms", "key/OperationsKeyD0717C64")

    def sqs_queue(self, name, properties, _):
        self.has(name, properties, KmsMasterKeyId=self.operations_key, QueueName=None)
        is_dead = "DeadLetters" in name
        dead = self.arn("sqs", "JobEventsDeadLetters786B5932")
        self.has(
            name,
            properties,
            MessageRetentionPeriod=(14 if is_dead else 4) * 86_400,
            RedrivePolicy=None
            if is_dead
            else {"deadLetterTargetArn": dead, "maxReceiveCount": 1000},
        )

    def sqs_queuepolicy(self, name, properties, _):
        # `Ref` of a queue is its URL, which the resolver gives as its name.
        (queue,) = properties.get("Queues") or [""]
        arn = self.arn("sqs", queue)
        rows = [
            {
                "Effect": "Deny",
                "Action": "sqs:*",
                "Principal": {"AWS": "*"},
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
        allowed = {
            "GuardDeadLetters4D72EFE5": "GuardSweep50CD4159",
            "JobEventsDeadLetters786B5932": ["JobEventsChanges42A6CF58", "JobEventsEnds93A5D8AC"],
            "JobEventsQueueD1562793": ["JobEventsChanges42A6CF58"],
        }.get(queue, "nobody")
        rule = (
            [self.arn("events", f"rule/{name}") for name in allowed]
            if isinstance(allowed, list)
            else self.arn("events", f"rule/{allowed}")
        )
        rows.append(
            {
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Principal": {"Service": "events.amazonaws.com"},
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            }
        )
        self.statements(name, properties, rows)

    @property
    def topic(self):
        return self.arn("sns", "OperationsTopic6D6844EA")

    def sns_topic(self, name, properties, _):
        self.has(name, properties, KmsMasterKeyId=self.operations_key, TopicName=None)

    def sns_topicpolicy(self, name, properties, _):
        self.has(name, properties, Topics=[self.topic])
        self.statements(
            name,
            properties,
            [
                {
                    "Effect": "Deny",
                    "Action": "sns:Publish",
                    "Principal": "*",
                    "Resource": self.topic,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Action": "sns:Publish",
                    "Principal": {
                        "Service": [
                            "budgets.amazonaws.com",
                            "cloudwatch.amazonaws.com",
                            "events.amazonaws.com",
                        ]
                    },
                    "Resource": self.topic,
                    "Condition": {"StringEquals": {"aws:SourceAccount": self.account}},
                },
            ],
        )

    def sns_subscription(self, name, properties, row):
        address = self.stage.alert_email or ""
        self.equal(name, "Condition", row.get("Condition"), "OperationsHasAddress909099B3")
        self.has(name, properties, Protocol="email", Endpoint=address, TopicArn=self.topic)

    def budgets_budget(self, name, properties, row):
        self.equal(name, "Condition", row.get("Condition"), "OperationsHasAddress909099B3")
        budget = properties.get("Budget", {})
        self.has(
            name,
            budget,
            BudgetType="COST",
            TimeUnit="MONTHLY",
            BudgetLimit={"Amount": self.stage.monthly_budget_usd, "Unit": "USD"},
            CostFilters={"TagKeyValue": [f"user:tunestack:stage${self.stage.name}"]},
        )
        told = [
            (notice["Notification"], notice.get("Subscribers", []))
            for notice in properties.get("NotificationsWithSubscribers", [])
        ]
        expected = [
            (
                {
                    "ComparisonOperator": "GREATER_THAN",
                    "NotificationType": kind,
                    "Threshold": percent,
                    "ThresholdType": "PERCENTAGE",
                },
                [{"Address": self.stage.alert_email or "", "SubscriptionType": "EMAIL"}],
            )
            for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
        ]
        self.equal(name, "notices", told, expected)

    def lambda_function(self, name, properties, _):
        limits = self.stage.endpoints
        self.has(
            name,
            properties,
            Code={"ZipFile": HANDLER},
            Handler="index.handler",
            Runtime="python3.14",
            Architectures=["arm64"],
            Timeout=600,
            MemorySize=256,
            Role=f"arn:aws:iam::{self.account}:role/GuardRole87F67C2B",
            KmsKeyArn=self.operations_key,
            DeadLetterConfig={"TargetArn": self.arn("sqs", "GuardDeadLetters4D72EFE5")},
            LoggingConfig={"LogGroup": "GuardLog047B64CB"},
            ReservedConcurrentExecutions=None,
            Layers=None,
            Environment={
                "Variables": {
                    "STAGE": self.stage.name,
                    "STAGE_TAG": "tunestack:stage",
                    "EXPIRY_TAG": "tunestack:expires-at",
                    "DEFAULT_HOURS": str(limits.default_hours),
                    "MAX_HOURS": str(limits.max_hours),
                }
            },
        )

    def lambda_eventinvokeconfig(self, name, properties, _):
        self.has(
            name,
            properties,
            FunctionName="GuardFunction9CCE20FB",
            MaximumEventAgeInSeconds=3600,
            MaximumRetryAttempts=2,
            Qualifier="$LATEST",
        )

    def lambda_permission(self, name, properties, _):
        self.has(
            name,
            properties,
            Action="lambda:InvokeFunction",
            FunctionName=self.arn("lambda", "function:GuardFunction9CCE20FB"),
            Principal="events.amazonaws.com",
            SourceArn=self.arn("events", "rule/GuardSweep50CD4159"),
        )

    def events_rule(self, name, properties, _):
        changes = {
            "detail-type": ["Model Customization Job State Change"],
            "source": ["aws.bedrock"],
        }
        ended = {"detail": {"jobStatus": ["Completed", "Failed", "Stopped"]}}
        pattern, schedule, target, dead = {
            "GuardSweep50CD4159": (
                None,
                MINUTES_5,
                self.arn("lambda", "function:GuardFunction9CCE20FB"),
                "GuardDeadLetters4D72EFE5",
            ),
            "JobEventsChanges42A6CF58": (
                changes,
                None,
                self.arn("sqs", "JobEventsQueueD1562793"),
                "JobEventsDeadLetters786B5932",
            ),
            "JobEventsEnds93A5D8AC": (
                changes | ended,
                None,
                self.topic,
                "JobEventsDeadLetters786B5932",
            ),
        }[name]
        self.equal(name, "State", properties.get("State", "ENABLED"), "ENABLED")
        self.has(name, properties, EventPattern=pattern, ScheduleExpression=schedule)
        targets = [
            (row.get("Arn"), row.get("DeadLetterConfig"), row.get("Input"))
            for row in properties.get("Targets", [])
        ]
        asked = "{}" if schedule else None
        self.equal(name, "targets", targets, [(target, {"Arn": self.arn("sqs", dead)}, asked)])
        for row in properties.get("Targets", []):
            self.equal(name, "id of the target", bool(row.get("Id")), True)
            if schedule:
                self.has(name, row, RetryPolicy={"MaximumEventAgeInSeconds": 300})
            if target == self.topic:
                self.has(
                    name,
                    row,
                    InputTransformer={
                        "InputPathsMap": {
                            key: f"$.detail.{key}" for key in ("jobArn", "jobName", "jobStatus")
                        },
                        "InputTemplate": '"Fine-tuning job <jobName>: <jobStatus>. <jobArn>"',
                    },
                )

    def cloudwatch_alarm(self, name, properties, _):
        self.has(name, properties, AlarmActions=[self.topic], ActionsEnabled=None, Period=300)
        at_least, below = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
        of_stage = [{"Name": "stage", "Value": self.stage.name}]
        of_queue = [{"Name": "QueueName", "Value": "GuardDeadLetters4D72EFE5"}]
        metric, operator, periods, missing, dimensions, statistic, space = {
            "GuardNoSweep": ("sweeps", below, 3, "breaching", of_stage, "Sum", "Tunestack"),
            "GuardFailed": ("failed", at_least, 3, "notBreaching", of_stage, "Sum", "Tunestack"),
            "GuardForeign": ("foreign", at_least, 3, "notBreaching", of_stage, "Sum", "Tunestack"),
            "GuardUnseen": ("unseen", at_least, 3, "notBreaching", of_stage, "Sum", "Tunestack"),
            "GuardUndelivered": (
                "ApproximateNumberOfMessagesVisible",
                at_least,
                1,
                "notBreaching",
                of_queue,
                "Maximum",
                "AWS/SQS",
            ),
        }[name[:-8]]
        self.has(
            name,
            properties,
            MetricName=metric,
            Namespace=space,
            Statistic=statistic,
            ComparisonOperator=operator,
            EvaluationPeriods=periods,
            TreatMissingData=missing,
            Threshold=1,
            Dimensions=dimensions,
        )

    def cloudwatch_dashboard(self, name, properties, _):
        self.equal(name, "DashboardName", properties.get("DashboardName"), None)

    def logs_loggroup(self, name, properties, _):
        self.has(
            name, properties, KmsKeyId=self.operations_key, RetentionInDays=90, LogGroupName=None
        )

    def scheduler_schedulegroup(self, name, properties, _):
        self.has(name, properties, Name=None)

    def ssm_parameter(self, name, properties, _):
        self.has(
            name,
            properties,
            Name=f"/tunestack/{self.stage.name}/deployment",
            Type="String",
        )
        said = json.loads(properties.get("Value", "{}"))
        limits, network = self.stage.endpoints, self.stage.network
        key = self.arn("kms", "key/ModelKey797AAF76") if self.stage.model_key else None
        expected = {
            "account": self.account,
            "base_models": [
                key for key in self.stage.base_models if self.region in CATALOG[key].regions
            ],
            "data_bucket": DATA,
            "data_key_arn": self.arn("kms", "key/DataKey5F086070"),
            "data_locations": [
                f"s3://{DATA}/{self.stage.data_prefix}/datasets/",
                *(place.uri for place in self.stage.extra_data),
            ],
            "data_owners": [
                self.account,
                *(place.account or self.account for place in self.stage.extra_data),
            ],
            "data_prefix": self.stage.data_prefix,
            "dead_letters_arn": self.arn("sqs", "GuardDeadLetters4D72EFE5"),
            "default_endpoint_hours": limits.default_hours,
            "event_queue_url": "JobEventsQueueD1562793",
            "guard_arn": self.arn("lambda", "function:GuardFunction9CCE20FB"),
            "job_role_arn": f"arn:aws:iam::{self.account}:role/AmazonBedrockJobRole83283ADC",
            "max_endpoint_hours": limits.max_hours,
            "model_key_arn": key,
            "region": self.region,
            "schedule_group": "GuardSchedulesE7822186",
            "scheduler_role_arn": f"arn:aws:iam::{self.account}:role/GuardSchedulerRole993ADB63",
            "security_group_ids": [] if network is None else ["NetworkJobsEE1435FB"],
            "stage": self.stage.name,
            "subnet_ids": [] if network is None else list(network.subnet_ids),
            "version": 1,
        }
        self.equal(name, "what the SDK reads", said, expected)

    def iam_managedpolicy(self, name, properties, _):
        """What it grants is proved elsewhere; here, that it is nobody else's."""
        self.has(name, properties, Users=None, Groups=None, ManagedPolicyName=None)

    def iam_role(self, name, properties, _):
        bounded = self.stage.permissions_boundary
        arn = None if bounded is None else f"arn:aws:iam::{self.account}:policy/{bounded}"
        self.has(name, properties, RoleName=None, Policies=None, PermissionsBoundary=arn)
        longest = 3600 if name.startswith("Access") else None
        self.has(name, properties, MaxSessionDuration=longest)

    def ec2_securitygroup(self, name, properties, _):
        https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
        self.has(name, properties, VpcId=self.stage.network.vpc_id)
        out, into = (
            [
                {key: value for key, value in rule.items() if key != "Description"}
                for rule in properties.get(f"SecurityGroup{way}", [])
            ]
            for way in ("Egress", "Ingress")
        )
        if name.startswith("NetworkJobs"):
            self.equal(name, "ways out", out, [{**https, "CidrIp": "0.0.0.0/0"}])
            self.equal(name, "ways in", into, [])
        else:
            self.equal(name, "ways out", out, [])
            jobs = {"SourceSecurityGroupId": "NetworkJobsEE1435FB"}
            self.equal(name, "ways in", into, [{**https, **jobs}])

    def ec2_vpcendpoint(self, name, properties, _):
        network = self.stage.network
        self.has(name, properties, VpcId=network.vpc_id, PolicyDocument=None)
        service = properties.get("ServiceName", "").removeprefix(f"com.amazonaws.{self.region}.")
        if name.startswith("NetworkS3"):
            self.equal(name, "service", service, "s3")
            self.has(name, properties, VpcEndpointType="Gateway")
            self.has(name, properties, RouteTableIds=list(network.route_table_ids))
        else:
            self.equal(name, "service", service in ("bedrock", "bedrock-runtime"), True)
            self.has(name, properties, VpcEndpointType="Interface", PrivateDnsEnabled=True)
            self.has(name, properties, SubnetIds=list(network.subnet_ids))
