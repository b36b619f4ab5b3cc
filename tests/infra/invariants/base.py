"""What the checks of all resource types share."""

DATA_BUCKET, LOG_BUCKET = "DataBucketE6B0FAA8", "DataAccessLogF8C4FD7F"
GUARD_FUNCTION = "GuardFunction9CCE20FB"
EVALUATOR_FUNCTION = "RunEvaluatorFunction6A6542D0"
STARTER_FUNCTION = "RunSchedulesStarterFunction310E0338"
START_DEAD_LETTERS = "RunSchedulesDeadLetters67191A0A"
GUARD_DEAD_LETTERS = "GuardDeadLetters4D72EFE5"
JOB_DEAD_LETTERS = "JobEventsDeadLetters786B5932"
JOB_QUEUE = "JobEventsQueueD1562793"
SWEEP_RULE = "GuardSweep50CD4159"
CHANGES_RULE, ENDS_RULE = "JobEventsChanges42A6CF58", "JobEventsEnds93A5D8AC"
HAS_ALERT_EMAIL = "OperationsHasAddress909099B3"


class Checks:
    """Compares the properties of resources with expected values, and collects the differences."""

    def __init__(self, resources, stage, region):
        self.resources, self.stage, self.region = resources, stage, region
        self.account = stage.account or "111122223333"
        self.violations = []

    def check_equal(self, name, label, actual, expected):
        if actual != expected:
            self.violations.append(f"{name}: {label} is {actual!r}, not {expected!r}")

    def check_properties(self, name, properties, **expected):
        for key, value in expected.items():
            self.check_equal(name, key, properties.get(key), value)

    def check_statements(self, name, properties, expected, key="PolicyDocument"):
        document = properties.get(key, {})
        statements = [
            {part: value for part, value in row.items() if part != "Sid"}
            for row in document.get("Statement", [])
        ]
        self.check_equal(name, "version of the policy", document.get("Version"), "2012-10-17")
        self.check_equal(name, "policy", statements, expected)

    def arn(self, service, resource):
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def queue_arn(self, name):
        return self.arn("sqs", name)

    @property
    def function_arn(self):
        return self.arn("lambda", f"function:{GUARD_FUNCTION}")

    @property
    def data_key_arn(self):
        return self.arn("kms", "key/DataKey5F086070")

    @property
    def operations_key_arn(self):
        return self.arn("kms", "key/OperationsKeyD0717C64")

    @property
    def topic_arn(self):
        return self.arn("sns", "OperationsTopic6D6844EA")
