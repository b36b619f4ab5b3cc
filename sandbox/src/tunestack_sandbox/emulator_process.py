"""The process that MiniStack runs in: serves on a socket that it was handed, and does what the sandbox asks on its standard input.

What is asked is what no AWS API can do: turn the clock, let an AWS service send an event, tell whose an access key is.
It ends with its standard input, so it does not outlive the sandbox.
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

from tunestack_sandbox import emulator_api_keys

if TYPE_CHECKING:
    from collections.abc import Callable

_real_time = time.time
_OFTEN = 1.0
"""Seconds of real time between two looks at rules with a rate."""


class _Time:
    """What MiniStack takes for the time: schedules, sessions and queues go by it, signatures by the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.looked = 0.0

    def __call__(self) -> float:
        return _real_time() + self.ahead


TIME = _Time()


def turn_clock(ahead: float) -> None:
    """Set how far MiniStack's clock is ahead, and fire the schedules that are due by it."""
    from ministack.services import eventbridge, scheduler  # noqa: PLC0415

    if ahead < TIME.ahead:  # turned back: what fired later has not fired yet
        scheduler._schedule_last_fired.clear()  # noqa: SLF001
        eventbridge._rule_last_fired.clear()  # noqa: SLF001
    TIME.ahead = ahead
    scheduler._tick_schedules()  # noqa: SLF001 - MiniStack has no public way, and is pinned exactly
    # Whoever waits turns the clock many times a second, and each time it is time for every rule with a rate: MiniStack
    # looks by itself too, so that no more than the last of these is late.
    if _real_time() - TIME.looked > _OFTEN:
        TIME.looked = _real_time()
        eventbridge._tick_scheduled_rules()  # noqa: SLF001


def send_event(account: str, region: str, entry: dict[str, Any]) -> None:
    """Send an event as an AWS service does; a client may not use a source that begins with `aws.`."""
    from ministack.core.responses import set_request_account_id, set_request_region  # noqa: PLC0415
    from ministack.services import eventbridge  # noqa: PLC0415

    set_request_account_id(account)
    set_request_region(region)
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)  # noqa: SLF001


def credential(access_key: str, account: str, token: str | None) -> dict[str, Any]:
    """Tell whose an access key is, or which error AWS answers for it."""
    from ministack.core import iam_evaluator, responses  # noqa: PLC0415
    from ministack.services import sts  # noqa: PLC0415

    home = (
        responses._account_from_sts_session(access_key)  # noqa: SLF001
        or iam_evaluator.find_iam_access_key_account(access_key)
        or account
    )
    found = iam_evaluator.resolve_credential(access_key, home, token)
    if isinstance(found, iam_evaluator.CredentialResolutionError):
        return {"error": found.code, "message": found.message}
    session = sts._sessions.get(access_key) or {}  # noqa: SLF001
    return {
        "account": found.account_id,
        "arn": found.principal_arn,
        "id": found.principal_id,
        "kind": found.principal_type,
        "name": found.principal_name,
        "secret": found.secret_access_key,
        "issued": session.get("IssuedAt"),
        "tags": session.get("SessionTags") or [],
        "session_policies": session.get("SessionPolicies"),
    }


def _look_often() -> None:
    """Look every second which schedules and rules are due, not every ten."""
    from ministack.services import eventbridge, scheduler  # noqa: PLC0415

    eventbridge._SCHEDULER_TICK_INTERVAL = _OFTEN  # noqa: SLF001
    scheduler._SCHEDULE_TICK_INTERVAL = _OFTEN  # noqa: SLF001


def _apply_bucket_encryption() -> None:
    """Let CloudFormation encrypt a bucket with a KMS key, which MiniStack leaves out.

    Only with a key that is named: MiniStack knows no key of AWS's own.
    """
    from ministack.services import s3  # noqa: PLC0415
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    def written(configuration: dict[str, Any]) -> bytes:
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

    def put(bucket: str, rules: bytes) -> None:
        if rules:
            space = b"http://s3.amazonaws.com/doc/2006-03-01/"
            root = b"ServerSideEncryptionConfiguration"
            s3._put_bucket_encryption(  # noqa: SLF001
                bucket, b'<%s xmlns="%s">%s</%s>' % (root, space, rules, root)
            )

    provisioners._S3_BUCKET_CONFIGURATIONS += (  # noqa: SLF001
        ("BucketEncryption", written, put, s3._delete_bucket_encryption),  # noqa: SLF001
    )


def _name_schedules_with_their_group() -> None:
    """Let permissions be about the group that a schedule is in; MiniStack takes every schedule for one of the default group."""
    from ministack.core import iam_actions  # noqa: PLC0415

    known = iam_actions.extract_resource_arn

    def resource(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, *where: str
    ) -> str:
        arn: str = known(service, method, path, headers, body, query, *where)
        if service != "scheduler" or ":schedule/default/" not in arn:
            return arn
        in_query = query.get("groupName", ["default"])
        group = in_query if isinstance(in_query, str) else in_query[0]
        if method in ("POST", "PUT"):
            group = json.loads(body).get("GroupName", "default")
        return arn.replace(":schedule/default/", f":schedule/{group}/")

    iam_actions.extract_resource_arn = resource


def _run_functions_as_their_roles() -> None:
    """Give a Lambda function the credentials of its role, as AWS does, and not the account's."""
    from ministack.core import lambda_runtime  # noqa: PLC0415
    from ministack.services import lambda_svc, sts  # noqa: PLC0415

    def credentials(config: dict[str, Any]) -> dict[str, str]:
        _, _, _, _, account, role = config["Role"].split(":", 5)
        function = config["FunctionName"]
        known = hashlib.sha256(f"{config['FunctionArn']} {role}".encode()).hexdigest()
        key, secret, token = f"ASIA{known[:16].upper()}", known[16:56], known[24:]
        session = {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role.rsplit('/', 1)[1]}/{function}",
            "UserId": f"AROA{known[:17].upper()}:{function}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        }
        sts.register_session(key, session)
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
        }

    lambda_runtime.execution_credentials = credentials
    lambda_svc.execution_credentials = credentials


def reset() -> None:
    """Forget everything that any service holds."""
    from ministack import app  # noqa: PLC0415

    app._reset_all_state()  # noqa: SLF001
    emulator_api_keys.forget()


def forget_schedules() -> None:
    """Forget every schedule of Scheduler's."""
    from ministack.services import scheduler  # noqa: PLC0415

    scheduler._schedules.clear()  # noqa: SLF001
    scheduler._schedule_last_fired.clear()  # noqa: SLF001


DOES: dict[str, Callable[..., object]] = {
    "clock": turn_clock,
    "event": send_event,
    "credential": credential,
    "api-key": emulator_api_keys.api_key,
    "forget-schedules": forget_schedules,
    "reset": reset,
}


def _obey(answers: TextIO) -> None:
    """Do what is asked, a line of JSON each, until nobody is there to ask."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"result": DOES[asked.pop("do")](**asked)}
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked has to know
            answer = {"failed": repr(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Serve on the socket whose file descriptor is the argument, until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints is for the log
    threading.Thread(target=_obey, args=(answers,), daemon=True).start()
    time.time = TIME
    from hypercorn.asyncio import serve  # noqa: PLC0415 - reads the environment on import
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415
    from ministack.core import tls  # noqa: PLC0415

    _look_often()
    _apply_bucket_encryption()
    _name_schedules_with_their_group()
    _run_functions_as_their_roles()
    emulator_api_keys.install()
    config = Config()
    config.bind = [f"fd://{sys.argv[1]}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    if tls.use_ssl_enabled():
        config.certfile, config.keyfile = tls.resolve_tls_material()
        tls.ca_bundle_path(config.certfile)
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
