"""The invariants of the world: no second job, no second endpoint, and no endpoint after its limit."""

from collections import Counter
from datetime import timedelta

from tests.survival.world_settings import (
    CREATION_TIME,
    MARGIN,
    MAX_LIFETIME,
    PERIOD,
    REGIONS,
    parse_expiry,
)
from tests.survival.world_state import WorldState

ACTIVE_STATUSES = ("InProgress", "Completed")


class WorldChecks(WorldState):
    """Checks the jobs and endpoints of one region."""

    def list_deployments(self, region):
        client = self.clients["bedrock", region]
        return client.list_custom_model_deployments(maxResults=1000)["modelDeploymentSummaries"]

    def check_lifetimes(self, region):
        """No throughput is older than requested, plus the period of the guard and the periods that faults cost it."""
        if not self.layers:
            return
        now = self.clock.now()
        for row in self.list_throughputs(region):
            name, created = row["provisionedModelName"], row["creationTime"]
            latest = created + MAX_LIFETIME + PERIOD
            end = max(min(self.latest_ends.get(name, latest), latest), created + CREATION_TIME)
            late = now - (end + PERIOD * (1 + self.missed_periods) + MARGIN)
            assert late <= timedelta(0), f"{name} exists {late} after its limit"

    def check_endpoints(self, region):
        """A model has one endpoint of each kind; throughput has an expiry and a schedule."""
        throughputs = self.list_throughputs(region)
        for rows in (throughputs, self.list_deployments(region)):
            counts = Counter(row["modelArn"] for row in rows)
            duplicates = [arn for arn, count in counts.items() if count > 1]
            assert not duplicates, f"two endpoints of one kind for {duplicates}"
        for row in () if self.outcomes_only else throughputs:
            name, created = row["provisionedModelName"], row["creationTime"]
            response = self.clients["bedrock", region].list_tags_for_resource(
                resourceARN=row["provisionedModelArn"]
            )
            expires_at = parse_expiry({tag["key"]: tag["value"] for tag in response["tags"]})
            assert expires_at is not None, f"{name} has no expiry"
            latest = created + MAX_LIFETIME + PERIOD
            assert expires_at <= latest, f"{name} expires too late: {expires_at}"
            assert self._get_schedule(region, name) is not None, f"{name} has no schedule"
        self.check_lifetimes(region)

    def check_jobs(self, region):
        """Each content has one active job, and every job that a client received exists."""
        bedrock = self.clients["bedrock", region]
        active: Counter[tuple[str, int]] = Counter()
        existing: set[str] = set()
        pages = bedrock.get_paginator("list_model_customization_jobs").paginate()
        for row in (row for page in pages for row in page["modelCustomizationJobSummaries"]):
            existing.add(row["jobArn"])
            content = self._get_content(bedrock, row["jobArn"])
            active[content] += row["status"] in ACTIVE_STATUSES
        for content, count in active.items():
            assert count <= 1 + self.reruns[content], f"{count} active jobs for {content}"
        for content, job_ids in self.job_ids.items():
            if REGIONS[content[0]] == region:
                assert set(job_ids) <= existing, f"a job of {content} is lost"

    def _get_content(self, bedrock, arn):
        """Return the model and dataset of a job; they never change."""
        if arn not in self.contents:
            job = bedrock.get_model_customization_job(jobIdentifier=arn)
            self.contents[arn] = self.contents_by_uri[job["trainingDataConfig"]["s3Uri"]]
        return self.contents[arn]
