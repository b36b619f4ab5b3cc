"""Finds and removes everything that runs have created, by tag and name: nothing local is needed.

A run tags what it creates with `tunestack:stage`, and the value is its run ID. Stacks, buckets and queues have it in the name.
"""

import re
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tunestack.deployment import STAGE_TAG

RUN_ID = re.compile(r"live-[0-9a-f]{6}")
_RUN = rf"({RUN_ID.pattern})"
_STACK = re.compile(rf"Tunestack-{_RUN}(-net)?-[a-z]+-[a-z]+-[0-9]")
_BUCKET = re.compile(rf"tunestack-{_RUN}(-net)?-.*")
_QUEUE = re.compile(rf"Tunestack-{_RUN}-notices")
_TAG = re.compile(rf"{_RUN}(-net)?")
_NOT_FOUND = frozenset({"NoSuchBucket", "ResourceNotFoundException", "InvalidVpcID.NotFound"})
_PASSES, _PAUSE = 240, 15.0
_BEDROCK: tuple[tuple[str, dict[str, Any], str, str, str, str], ...] = (
    ("list_provisioned_model_throughputs", {}, "provisionedModelSummaries", "provisionedModelArn", "delete_provisioned_model_throughput", "provisionedModelId"),
    ("list_custom_model_deployments", {}, "modelDeploymentSummaries", "customModelDeploymentArn", "delete_custom_model_deployment", "customModelDeploymentIdentifier"),
    ("list_model_customization_jobs", {"statusEquals": "InProgress"}, "modelCustomizationJobSummaries", "jobArn", "stop_model_customization_job", "jobIdentifier"),
    ("list_custom_models", {"isOwned": True}, "modelSummaries", "modelArn", "delete_custom_model", "modelIdentifier"),
)  # fmt: skip
"""Each List operation, with the operation that removes an item, in the order in which they can be removed."""


class Cleanup:
    """Removes the leftovers of all runs, or of one run, in a region."""

    def __init__(self, session, region, run_id=None):
        """Create the clients of an administrator."""
        self._run_id = run_id
        self._client = partial(session.client, region_name=region)

    def find(self):
        """Yield the leftovers, each with the function that removes it."""
        yield from self._find_in_bedrock()
        stacks = list(self._find_stacks())
        yield from stacks
        if not stacks:  # otherwise, the rest is in use
            yield from self._find_others()

    def run(self, clock):
        """Remove everything, and return what could not be removed within an hour."""
        leftovers = []
        for _ in range(_PASSES):
            leftovers = list(self.find())
            if not leftovers:
                break
            for text, remove in leftovers:
                try:
                    remove()
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _NOT_FOUND:
                        print(f"    {text}: later: {error}", flush=True)
                else:
                    print(f"    removed or being removed: {text}", flush=True)
            clock.sleep(_PAUSE)
        return [text for text, _ in leftovers]

    def _is_own(self, pattern, text):
        match = pattern.fullmatch(text)
        return match is not None and self._run_id in (None, match[1])

    def _find_in_bedrock(self):
        bedrock = self._client("bedrock")
        for list_, filters, rows, key, remove, parameter in _BEDROCK:
            for page in bedrock.get_paginator(list_).paginate(**filters):
                for arn in (row[key] for row in page[rows]):
                    tags = bedrock.list_tags_for_resource(resourceARN=arn).get("tags", ())
                    stage = {tag["key"]: tag["value"] for tag in tags}.get(STAGE_TAG, "")
                    if self._is_own(_TAG, stage):
                        yield arn, partial(getattr(bedrock, remove), **{parameter: arn})

    def _find_stacks(self):
        for page in self._client("cloudformation").get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                name, status = stack["StackName"], stack["StackStatus"]
                if self._is_own(_STACK, name) and status != "DELETE_COMPLETE":
                    yield f"stack {name} ({status})", partial(self._delete_stack, name, status)

    def _find_others(self):
        s3, sqs, ec2 = map(self._client, ("s3", "sqs", "ec2"))
        for bucket in (row["Name"] for row in s3.list_buckets()["Buckets"]):
            if self._is_own(_BUCKET, bucket):
                yield f"bucket {bucket}", partial(self._delete_bucket, bucket)
        for url in sqs.list_queues(QueueNamePrefix="Tunestack-live-").get("QueueUrls", ()):
            if self._is_own(_QUEUE, url.rpartition("/")[2]):
                yield f"queue {url}", partial(sqs.delete_queue, QueueUrl=url)
        tagged = [{"Name": f"tag:{STAGE_TAG}", "Values": ["live-*"]}]
        for vpc in ec2.describe_vpcs(Filters=tagged)["Vpcs"]:
            tags = {tag["Key"]: tag["Value"] for tag in vpc["Tags"]}
            if self._is_own(_TAG, tags[STAGE_TAG]):
                yield f"VPC {vpc['VpcId']}", partial(self._delete_vpc, vpc["VpcId"])

    def _delete_stack(self, name, status):
        """Delete a stack, also while it is being created. Another change has to end first."""
        if status.endswith("_IN_PROGRESS") and not status.startswith(("CREATE", "REVIEW")):
            return
        cloudformation = self._client("cloudformation")
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
            for row in page["StackResourceSummaries"]:
                if row["ResourceType"] == "AWS::S3::Bucket" and row.get("PhysicalResourceId"):
                    self._empty_bucket(row["PhysicalResourceId"])
        cloudformation.delete_stack(StackName=name)

    def _delete_bucket(self, bucket):
        self._empty_bucket(bucket)
        self._client("s3").delete_bucket(Bucket=bucket)

    def _empty_bucket(self, bucket):
        s3 = self._client("s3")
        try:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                rows = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                objects = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
                if objects:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise

    def _delete_vpc(self, vpc):
        ec2 = self._client("ec2")
        filters = [{"Name": "vpc-id", "Values": [vpc]}]
        for subnet in ec2.describe_subnets(Filters=filters)["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        ec2.delete_vpc(VpcId=vpc)
