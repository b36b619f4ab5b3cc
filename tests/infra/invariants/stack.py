"""The invariants of every stack of every stage, except for what policies grant, which is proved.

They apply to a resolved template. They are written from what has to be protected, not from the code that does it.
"""

from collections import Counter

from tests.infra.invariants.access import AccessChecks
from tests.infra.invariants.base import LOG_BUCKET
from tests.infra.invariants.data import DataChecks
from tests.infra.invariants.guard import GuardChecks
from tests.infra.invariants.messaging import MessagingChecks
from tests.infra.invariants.runs import RunChecks

UNTAGGED_TYPES = {
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::VPCEndpoint",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}


class StackChecks(DataChecks, MessagingChecks, GuardChecks, RunChecks, AccessChecks):
    """Checks all resources of one stack."""

    def find_violations(self):
        """Return one sentence for each property that differs from what is expected."""
        self.check_resource_counts()
        for name, resource in self.resources.items():
            suffix = resource["Type"].split("::", 1)[1].replace("::", "_").lower()
            check = getattr(self, f"check_{suffix}", None)
            if check is None:
                self.violations.append(f"{name}: unexpected resource type {resource['Type']}")
                continue
            check(name, resource.get("Properties", {}), resource)
            self.check_removal_policy(name, resource)
            self.check_tags(name, resource)
        return self.violations

    def check_resource_counts(self):
        """Check that no resource is missing, and that none is unexpected."""
        stage, network = self.stage, self.stage.network
        schedules = len(stage.get_run_schedules(self.region))
        starts, functions = bool(schedules), stage.run_evaluation + bool(schedules)
        roles = (stage.roles.tuners, stage.roles.invokers, stage.roles.viewers, stage.roles.ci)
        expected = {
            "AWS::CloudWatch::Alarm": 7 + functions,
            "AWS::CloudWatch::Dashboard": int(stage.dashboard),
            "AWS::Budgets::Budget": int(self.region == stage.regions[0]),
            "AWS::Events::Rule": 3,
            "AWS::IAM::ManagedPolicy": 8 + functions + starts,
            "AWS::IAM::Role": 4 + functions + starts + sum(map(bool, roles)),
            "AWS::KMS::Key": 2 + stage.model_key,
            "AWS::Lambda::EventInvokeConfig": 1,
            "AWS::Lambda::Function": 1 + functions,
            "AWS::Lambda::Permission": 1,
            "AWS::Logs::LogGroup": 2 + functions,
            "AWS::S3::Bucket": 2,
            "AWS::S3::BucketPolicy": 2,
            "AWS::SNS::Subscription": 1,
            "AWS::SNS::Topic": 1,
            "AWS::SNS::TopicPolicy": 1,
            "AWS::SQS::Queue": 3 + starts,
            "AWS::SQS::QueuePolicy": 3 + starts,
            "AWS::SSM::Parameter": 1,
            "AWS::Scheduler::Schedule": schedules,
            "AWS::Scheduler::ScheduleGroup": 1 + starts,
            "AWS::StepFunctions::StateMachine": 1,
        }
        if network is not None:
            expected["AWS::EC2::SecurityGroup"] = 1 + network.bedrock_endpoints
            expected["AWS::EC2::VPCEndpoint"] = (
                bool(network.route_table_ids) + 2 * network.bedrock_endpoints
            )
        counts = Counter(dict.fromkeys(expected, 0))
        counts.update(resource["Type"] for resource in self.resources.values())
        self.check_equal("the stack", "number of resources", dict(counts), expected)

    def check_removal_policy(self, name, resource):
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::KMS::Key"):
            # Access logs are delivered for hours after the last request: the bucket could not be deleted.
            is_retained = self.stage.retain_data or name == LOG_BUCKET
            expected = "Retain" if is_retained else "Delete"
        elif resource["Type"] in ("AWS::SQS::Queue", "AWS::Logs::LogGroup"):
            # Messages and logs are of no use without the stack.
            expected = "Delete"
        else:
            return
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
            self.check_equal(name, attribute, resource.get(attribute), expected)

    def check_tags(self, name, resource):
        if resource["Type"] in UNTAGGED_TYPES:
            return
        key = "ResourceTags" if resource["Type"] == "AWS::Budgets::Budget" else "Tags"
        tags = resource.get("Properties", {}).get(key, {})
        if isinstance(tags, list):
            tags = {tag["Key"]: tag["Value"] for tag in tags}
        self.check_equal(name, "tags", tags, {"tunestack:stage": self.stage.name})
