"""The process of the emulator: it runs MiniStack on a socket of the sandbox, and commands from its standard input.

The commands are those that no AWS API has, see `COMMANDS`. Each is a line of JSON, as is its response on standard output.
The process ends with its standard input, so it does not outlive the sandbox. See docs/adr/0007-commands-to-the-emulator.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from tunestack_sandbox import (
    emulator_api_keys,
    emulator_deliveries,
    emulator_functions,
    emulator_metrics,
    emulator_policies,
    emulator_resources,
    emulator_states,
)
from tunestack_sandbox.emulator_threads import ACTIVITY

if TYPE_CHECKING:
    from collections.abc import Callable

_real_time = time.time
_TICK_SECONDS = 1.0
"""Seconds of real time between two checks for due rules and schedules."""


class _Time:
    """MiniStack's time, for schedules, sessions and queues. Signatures use the real time."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.last_tick = 0.0

    def __call__(self) -> float:
        return _real_time() + self.ahead


TIME = _Time()


def set_clock(ahead: float) -> None:
    """Set the difference of MiniStack's time to the real time, and fire the schedules that are due."""
    from ministack.services import eventbridge, scheduler  # noqa: PLC0415

    if ahead < TIME.ahead:  # after a reset, schedules must fire again
        scheduler._schedule_last_fired.clear()  # noqa: SLF001
        eventbridge._rule_last_fired.clear()  # noqa: SLF001
    else:
        # MiniStack fires a recurring schedule only if it saw the schedule before the time at which it is due.
        scheduler._tick_schedules()  # noqa: SLF001 - no public API; the version of MiniStack is pinned
    TIME.ahead = ahead
    ACTIVITY.notify()
    scheduler._tick_schedules()  # noqa: SLF001 - no public API; the version of MiniStack is pinned
    # Tests advance the clock many times a second, and every rule with a rate is due each time. MiniStack's own thread fires
    # those that are skipped here.
    if _real_time() - TIME.last_tick > _TICK_SECONDS:
        TIME.last_tick = _real_time()
        eventbridge._tick_scheduled_rules()  # noqa: SLF001


def send_event(account: str, region: str, entry: dict[str, Any]) -> None:
    """Send an event as an AWS service does. Clients can't send events with a source that begins with `aws.`."""
    from ministack.core.responses import set_request_account_id, set_request_region  # noqa: PLC0415
    from ministack.services import eventbridge  # noqa: PLC0415

    set_request_account_id(account)
    set_request_region(region)
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)  # noqa: SLF001


def find_credential(access_key: str, account: str, token: str | None) -> dict[str, Any]:
    """Return the principal of an access key, or AWS's error for it."""
    from ministack.core import iam_evaluator, responses  # noqa: PLC0415
    from ministack.services import sts  # noqa: PLC0415

    owner = (
        responses._account_from_sts_session(access_key)  # noqa: SLF001
        or iam_evaluator.find_iam_access_key_account(access_key)
        or account
    )
    credential = iam_evaluator.resolve_credential(access_key, owner, token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return {"error": credential.code, "message": credential.message}
    session = sts._sessions.get(access_key) or {}  # noqa: SLF001
    return {
        "account": credential.account_id,
        "arn": credential.principal_arn,
        "id": credential.principal_id,
        "kind": credential.principal_type,
        "name": credential.principal_name,
        "secret": credential.secret_access_key,
        "issued": session.get("IssuedAt"),
        "tags": session.get("SessionTags") or [],
        "session_policies": session.get("SessionPolicies"),
    }


def _shorten_ticks() -> None:
    """Let MiniStack check for due rules and schedules every second instead of every ten seconds."""
    from ministack.services import eventbridge, scheduler  # noqa: PLC0415

    eventbridge._SCHEDULER_TICK_INTERVAL = _TICK_SECONDS  # noqa: SLF001
    scheduler._SCHEDULE_TICK_INTERVAL = _TICK_SECONDS  # noqa: SLF001


def _apply_bucket_encryption() -> None:
    """Add the encryption of buckets to MiniStack's CloudFormation.

    This needs an explicit KMS key, as MiniStack does not have AWS managed keys.
    """
    from ministack.services import s3  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    def build_rules(configuration: dict[str, Any]) -> bytes:
        rules = ""
        for rule in configuration["ServerSideEncryptionConfiguration"]:
            key = rule.get("ServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            bucket_key = str(rule.get("BucketKeyEnabled", False)).lower()
            rules += (
                ""
                if key is None
                else (
                    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
                    f"<KMSMasterKeyID>{key}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
                    f"<BucketKeyEnabled>{bucket_key}</BucketKeyEnabled></Rule>"
                )
            )
        return rules.encode()

    def put_encryption(bucket: str, rules: bytes) -> None:
        if rules:
            namespace = b"http://s3.amazonaws.com/doc/2006-03-01/"
            root = b"ServerSideEncryptionConfiguration"
            s3._put_bucket_encryption(  # noqa: SLF001
                bucket, b'<%s xmlns="%s">%s</%s>' % (root, namespace, rules, root)
            )

    provisioners._S3_BUCKET_CONFIGURATIONS += (  # noqa: SLF001
        ("BucketEncryption", build_rules, put_encryption, s3._delete_bucket_encryption),  # noqa: SLF001
    )


def _find_resources_of_requests() -> None:
    """Check permissions for a schedule with its group, and for a map run.

    MiniStack uses the default group for all schedules, and no resource for a map run. Source: Service Authorization Reference,
    list_awsstepfunctions (read 2026-11-29): `ListExecutions` has the resources state machine and map run.
    """
    from ministack.core import iam_actions  # noqa: PLC0415

    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, *scope: str
    ) -> str:
        arn: str = original(service, method, path, headers, body, query, *scope)
        if service == "states" and arn == "*":
            return str(json.loads(body or b"{}").get("mapRunArn", arn))
        if service != "scheduler" or ":schedule/default/" not in arn:
            return arn
        groups = query.get("groupName", ["default"])
        group = groups if isinstance(groups, str) else groups[0]
        if method in ("POST", "PUT"):
            group = json.loads(body).get("GroupName", "default")
        return arn.replace(":schedule/default/", f":schedule/{group}/")

    iam_actions.extract_resource_arn = extract_resource_arn


def _run_functions_as_their_roles() -> None:
    """Give a Lambda function the credentials of its role, as AWS does, instead of the account's."""
    from ministack.core import lambda_runtime  # noqa: PLC0415
    from ministack.services import lambda_svc, sts  # noqa: PLC0415

    def create_credentials(config: dict[str, Any]) -> dict[str, str]:
        _, _, _, _, account, role = config["Role"].split(":", 5)
        function = config["FunctionName"]
        digest = hashlib.sha256(f"{config['FunctionArn']} {role}".encode()).hexdigest()
        key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest[24:]
        session = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role.rsplit('/', 1)[1]}/{function}",
            "UserId": f"AROA{digest[:17].upper()}:{function}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        }
        sts.register_session(key, session)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
        }

    lambda_runtime.execution_credentials = create_credentials
    lambda_svc.execution_credentials = create_credentials


def reset() -> None:
    """Delete the resources of all services."""
    from ministack import app  # noqa: PLC0415

    emulator_states.end_executions()
    app._reset_all_state()  # noqa: SLF001
    emulator_api_keys.reset()


def delete_schedules() -> None:
    """Delete the schedules that delete endpoints: those with an end. The others belong to stacks."""
    from ministack.services import scheduler  # noqa: PLC0415

    schedules = scheduler._schedules._data  # noqa: SLF001
    for key, schedule in list(schedules.items()):
        if schedule.get("EndDate") is not None:
            del schedules[key]
    scheduler._schedule_last_fired.clear()  # noqa: SLF001


COMMANDS: dict[str, Callable[..., object]] = {
    "set-clock": set_clock,
    "send-event": send_event,
    "find-credential": find_credential,
    "find-api-key": emulator_api_keys.find_api_key,
    "read-entity": emulator_policies.read_entity,
    "read-identity-policies": emulator_policies.read_identity_policies,
    "read-managed-policy": emulator_policies.read_managed_policy,
    "find-next-wait": ACTIVITY.find_next,
    "end-executions": emulator_states.end_executions,
    "delete-schedules": delete_schedules,
    "delete-metrics": emulator_metrics.delete,
    "reset": reset,
}
"""The commands by name; the other members of the line are the arguments."""


def _run_commands(output: TextIO) -> None:
    """Run commands until standard input ends, then end the process group."""
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            response = {"result": COMMANDS[arguments.pop("command")](**arguments)}
        except Exception as error:  # noqa: BLE001 - the sandbox raises it
            response = {"error": repr(error)}
        output.write(json.dumps(response) + "\n")
        output.flush()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Serve on the socket with the file descriptor of the first argument, until standard input ends.

    The second argument is the speed of the sandbox, the third the file with the metrics of Bedrock.
    """
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # other prints go to the log
    threading.Thread(target=_run_commands, args=(output,), daemon=True).start()
    time.time = TIME
    from hypercorn.asyncio import serve  # noqa: PLC0415 - reads the environment on import
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415
    from ministack.core import tls  # noqa: PLC0415

    _shorten_ticks()
    _apply_bucket_encryption()
    _find_resources_of_requests()
    _run_functions_as_their_roles()
    emulator_api_keys.install()
    emulator_deliveries.install()
    emulator_functions.install()
    emulator_metrics.install(sys.argv[3])
    emulator_resources.install()
    emulator_states.install(float(sys.argv[2]))
    config = Config()
    config.bind = [f"fd://{sys.argv[1]}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    if tls.use_ssl_enabled():
        config.certfile, config.keyfile = tls.resolve_tls_material()
        tls.ca_bundle_path(config.certfile)
        # Of functions: MiniStack's default is the bundle, which they would read for each connection.
        os.environ["AWS_CA_BUNDLE"] = config.certfile
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
