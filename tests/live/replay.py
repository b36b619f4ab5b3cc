"""Replays cassettes in a sandbox, and reports where the sandbox differs from the recording.

python -m tests.live.replay CASSETTE ...
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.live.live_run import format_records
from tests.live.recorder import CONTENT, SERVICES_WITH_VALUES, VERSION, Redactor, list_keys
from tunestack_sandbox import Sandbox

_STEP = 60
_MAX_STEPS = 600
"""The clock is advanced by a minute until a poll returns what was recorded, at most for ten hours in all."""
_BODIES = {
    "nova": {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
    "llama": {"prompt": "a"},
}


def read_cassette(path):
    """Return the header and the requests to Bedrock."""
    header, *entries = (json.loads(line) for line in path.read_text().splitlines())
    if header["cassette"] != VERSION:
        raise ValueError(f"{path}: version {header['cassette']}, this program reads {VERSION}")
    return header, [row for row in entries if row.get("service") in SERVICES_WITH_VALUES]


def create_sandbox(path):
    """Create a sandbox on the date of a recording, with the stage `dev`."""
    header, _ = read_cassette(path)
    return Sandbox(speed=1, as_of=datetime.fromisoformat(header["started"]))


def replay(path, sandbox):
    """Send the requests of a cassette to a new sandbox, and return the differences as text."""
    header, entries = read_cassette(path)
    player = _Player(sandbox, header)
    return [
        f"{path.name}: {entry['step']}: {entry['operation']}: {difference}"
        for entry in entries
        for difference in player.play(entry)
    ]


class _Player:
    def __init__(self, sandbox, header):
        self._sandbox = sandbox
        self._header = header
        self._steps_left = _MAX_STEPS
        self._deployment = sandbox.deployment(header["region"])
        self._redactor = Redactor(
            {
                self._deployment.data_bucket: "<bucket>",
                self._deployment.job_role_arn: "<job-role>",
                self._deployment.account: "<account>",
                self._create_model_key(): "<model-key>",
                "dev": "<stage>",
            }
        )
        self._keys = {"admin": self._get_root_key(), "tuner": self._create_tuner_key()}

    def _create_model_key(self):
        """Create a key, because the stage of the sandbox has none."""
        self._model_key = self._client("kms").create_key()["KeyMetadata"]["Arn"]
        return self._model_key

    def _get_root_key(self):
        variables = self._sandbox.variables()
        return variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]

    def _create_tuner_key(self):
        """Create a user with the tuner policy. A role would have to be assumed again every simulated hour."""
        stack = f"Tunestack-dev-{self._header['region']}"
        rows = self._client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        (policy,) = [
            row["OutputValue"] for row in rows["Outputs"] if row["OutputKey"] == "TunerPolicyArn"
        ]
        iam = self._client("iam")
        iam.create_user(UserName="tuner")
        iam.attach_user_policy(UserName="tuner", PolicyArn=policy)
        statement = {"Effect": "Allow", "Action": "kms:*", "Resource": self._model_key}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="tuner", PolicyName="ModelKey", PolicyDocument=document)
        key = iam.create_access_key(UserName="tuner")["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def _client(self, service, role=None):
        variables = self._sandbox.variables()
        access_key, secret = self._keys[role] if role else self._get_root_key()
        is_bedrock = service in SERVICES_WITH_VALUES
        return boto3.client(
            service,
            self._header["region"],
            endpoint_url=self._sandbox.url if is_bedrock else variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
        )

    def play(self, entry):
        """Send a request, and return the differences. A poll is repeated while there are any."""
        params = self._build_params(entry)
        if params is None:
            return ["it needs a resource that was not created"]
        client = self._client(entry["service"], entry["as"])
        is_poll = entry["operation"].startswith(("Get", "List"))
        while True:
            differences = list(_compare(entry, self._send(client, entry["operation"], params)))
            if not differences or not is_poll or not self._steps_left:
                return differences
            self._steps_left -= 1
            self._sandbox.clock.advance(_STEP)
            time.sleep(0.1 if entry["status"] == 404 else 0)  # functions run in real time

    def _build_params(self, entry):
        params = self._redactor.restore(entry["params"])
        if "<id-" in json.dumps(params):
            return None
        for message in params.get("messages", ()):
            message["content"] = [{"text": "a"}]
        if params.get("body") == CONTENT:
            family = "nova" if self._header["model"].startswith("nova") else "llama"
            params["body"] = json.dumps(_BODIES[family])
        if uri := params.get("trainingDataConfig", {}).get("s3Uri"):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            messages = [{"role": role, "content": "a"} for role in ("user", "assistant")]
            body = format_records([{"messages": messages}] * 100)
            self._client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        return {name: value for name, value in params.items() if value != "<time>"}

    def _send(self, client, operation, params):
        error: dict[str, Any] = {}
        api = client.meta.method_to_api_mapping
        method = next(name for name, known in api.items() if known == operation)
        try:
            answer = getattr(client, method)(**params)
        except ClientError as refused:
            answer, error = refused.response, dict(refused.response["Error"])
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        body = {} if error else answer
        return {
            "status": status,
            "code": error.get("Code"),
            "message": self._redactor.redact(error.get("Message")),
            "answer": self._redactor.redact(body, learn=not operation.startswith("List")),
        }


def _compare(entry, actual):
    for name in ("status", "code", "message"):
        if entry[name] != actual[name]:
            yield f"{name}: AWS {entry[name]!r}, sandbox {actual[name]!r}"
    if entry["code"] is not None or actual["code"] is not None:
        return
    expected, answer = entry["answer"], actual["answer"]
    for path, status in _list_statuses(expected):
        if (path, status) not in _list_statuses(answer):
            yield f"only AWS returns {path} {status}"
    # Lists are compared by the members of their rows, if both have rows.
    empty = [
        key
        for key in {*expected, *answer}
        if [] in (expected.get(key), answer.get(key)) and key.endswith("Summaries")
    ]
    for path in sorted(list_keys(expected) ^ list_keys(answer)):
        if not path.startswith(tuple(f"{key}[]" for key in empty)) and path != "nextToken":
            side = "AWS" if path in list_keys(expected) else "the sandbox"
            yield f"only {side} returns {path}"


def _list_statuses(value, path=""):
    """Return the paths and values of all members that are a status."""
    if isinstance(value, list):
        return [found for item in value for found in _list_statuses(item, f"{path}[]")]
    if isinstance(value, dict):
        return [
            found
            for key, item in value.items()
            for found in _list_statuses(item, f"{path}.{key}".lstrip("."))
        ]
    return [(path, value)] if path.lower().endswith("status") else []


def main(paths):
    """Replay cassettes, and return the exit code: 1 if there are differences."""
    differences = []
    for path in map(Path, paths):
        with create_sandbox(path) as sandbox:
            differences += replay(path, sandbox)
    print(*differences, f"{len(differences)} differences", sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
