"""The command line: checks what the code assumes about AWS in a real account.

python -m tests.live [--budget USD] [--yes] ...
"""

import argparse
import math
import secrets
import sys
import traceback
import warnings
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.live.assumptions import ASSUMPTIONS
from tests.live.cleanup import RUN_ID, Cleanup
from tests.live.live_run import STEPS, Budget, LiveError, LiveRun, RealClock
from tests.live.recorder import Recorder
from tunestack import EndpointCostWarning, __version__
from tunestack.catalog import CATALOG, Serving
from tunestack.errors import TunestackError

# In the order in which the steps run.
for _name in ("stage", "jobs", "endpoints", "events"):
    import_module(f"tests.live.steps_{_name}")

RECORDED = Path(__file__).parent / "recorded"


def parse(arguments):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="./check --live", description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", type=float, default=5.0, metavar="USD", help="default: 5")
    parser.add_argument("--model", default="nova-micro", help="nova-micro or llama-3-3-70b")
    parser.add_argument("--run", metavar="RUN_ID", help="continue a run")
    parser.add_argument("--only", metavar="STEP,...", help="run these steps, and keep everything")
    parser.add_argument("--keep", action="store_true", help="do not remove anything at the end")
    parser.add_argument(
        "--provisioned",
        type=float,
        metavar="USD_PER_HOUR",
        help="buy provisioned throughput for an hour, at this price",
    )
    parser.add_argument("--record", type=Path, default=RECORDED, metavar="FOLDER")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--list", action="store_true", help="list the steps and their cost")
    parser.add_argument("--clean-up", action="store_true", help="remove what runs have left")
    return parser.parse_args(arguments)


def main(arguments=None, clock=None):
    """Run the program, and return its exit code: 0 if every assumption holds, 1 if not, 2 for wrong usage."""
    options, clock = parse(arguments), clock or RealClock()
    warnings.simplefilter("ignore", EndpointCostWarning)
    try:
        _validate(options)
        if options.clean_up:
            return _clean_up(options, clock)
        run, steps = _prepare(options, clock)
        if options.list:
            _print_plan(run, steps)
            return 0
        return _run(run, steps, options)
    except KeyboardInterrupt:
        print("interrupted: see the line 'After a crash' above", file=sys.stderr)
        return 130
    except (LiveError, TunestackError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BotoCoreError as error:
        print(f"error: {error}: `aws sts get-caller-identity` has to succeed", file=sys.stderr)
        return 2


def _validate(options):
    if options.run and not RUN_ID.fullmatch(options.run):
        raise LiveError(f"invalid --run {options.run}: use an ID such as live-1a2b3c")
    for name in ("budget", "provisioned"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise LiveError(f"invalid --{name} {value:g}: use US dollars above 0")


def _prepare(options, clock):
    model = next((entry for entry in CATALOG if entry.key == options.model), None)
    if model is None or Serving.ON_DEMAND not in model.serving:
        raise LiveError(f"invalid --model {options.model}: use nova-micro or llama-3-3-70b")
    unknown = {*(options.only or "").split(",")} - {"", *STEPS}
    if unknown:
        raise LiveError(f"unknown step {min(unknown)}: use {', '.join(STEPS)}")
    names = options.only.split(",") if options.only else STEPS
    run = LiveRun(
        run_id=options.run or f"live-{secrets.token_hex(3)}",
        region=model.regions[0],
        model=model,
        budget=Budget(options.budget),
        clock=clock,
        provisioned_price=options.provisioned,
    )
    steps = [
        step
        for name, step in STEPS.items()
        if name in names and not (options.keep and name in ("delete-models", "remove"))
    ]
    return run, steps


def _print_plan(run, steps):
    for step in steps:
        print(f"  {step.name:15} ${step.usd(run):5.2f}  {step.purpose} ({step.duration})")


def _confirm(question, options):
    try:
        return options.yes or input(f"{question} [y/N] ").strip().lower() == "y"
    except EOFError:
        return False


def _run(run, steps, options):
    caller = run.admin.client("sts").get_caller_identity()
    if caller["Arn"].endswith(":root"):
        raise LiveError("the root user can't assume roles: use an administrator")
    print(f"account {run.account}, {run.region}, run {run.run_id}, budget ${run.budget.limit:g}")
    print("These steps create and delete the following, with the tag tunestack:stage:")
    _print_plan(run, steps)
    if not _confirm("Continue?", options):
        return 2
    print(f"After a crash: ./check --live --run {run.run_id} ..., or ./check --live --clean-up")
    del run.admin  # create it again, with the recorder
    path = options.record / f"{datetime.now(UTC):%Y-%m-%dT%H%M}-{run.model.key}-{run.run_id}.jsonl"
    header = {
        "region": run.region,
        "model": run.model.key,
        "sandbox": run.clock.is_simulated,
        "started": run.clock.now().isoformat(),
        "tunestack": __version__,
        "boto3": boto3.__version__,
    }
    run.redactor.names |= {caller["Account"]: "<account>", run.run_id: "<stage>"}
    run.recorder = Recorder(path, run.redactor, header)
    failed = _run_steps(run, steps)
    if not options.only and not options.keep and "remove" in failed:
        print("error: not everything was removed: run ./check --live --clean-up", file=sys.stderr)
    return _report(run, steps, failed, path)


def _run_steps(run, steps):
    """Run the steps, also after one has failed, and return the errors by step."""
    failed = {}
    for step in steps:
        run.recorder.step = step.name
        started, before = run.clock.monotonic(), dict(run.verdicts)
        print(f"{step.name}: {step.purpose}", flush=True)
        try:
            run.budget.reserve(f"step {step.name}", step.usd(run))
            step.run(run)
        except Exception as error:  # noqa: BLE001 - responses of AWS may differ in any way
            failed[step.name] = error
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f" ({Path(frame.filename).name}, line {frame.lineno})"
            is_known = isinstance(error, LiveError | TunestackError | ClientError)
            text = str(error) if is_known else f"{type(error).__name__}: {error}{place}"
            print(f"    error: {text}", flush=True)
        for name, (holds, observed) in run.verdicts.items():
            if before.get(name) != (holds, observed):
                print(f"    {'holds' if holds else 'WRONG'} {name}: {observed}", flush=True)
                run.recorder.write_verdict(
                    step=step.name, assumption=name, holds=holds, observed=observed
                )
        print(f"    {(run.clock.monotonic() - started) / 60:.0f} minutes", flush=True)
    return failed


def _report(run, steps, failed, path):
    expected = [
        name
        for step in steps
        for name in step.settles
        if (ASSUMPTIONS[name].on_sandbox or not run.clock.is_simulated)
        and (step.name != "provision" or run.provisioned_price is not None)
    ]
    wrong = [name for name in expected if not run.verdicts.get(name, (True, ""))[0]]
    unsettled = [name for name in expected if name not in run.verdicts]
    print(f"\n{len(expected) - len(wrong) - len(unsettled)} of {len(expected)} assumptions hold")
    for title, names in (("wrong", wrong), ("not settled", unsettled), ("failed steps", failed)):
        if names:
            print(f"{title}: {', '.join(names)}")
    print(f"cost: at most ${run.budget.spent:.2f}\nrecorded: {path}")
    return 1 if wrong or unsettled or failed else 0


def _clean_up(options, clock):
    session = boto3.Session()
    account = session.client("sts", "us-east-1").get_caller_identity()["Account"]
    regions = sorted({region for model in CATALOG for region in model.regions})
    cleanups = [Cleanup(session, region, options.run) for region in regions]
    found = [text for cleanup in cleanups for text, _ in cleanup.find()]
    if not found:
        print(f"account {account}: nothing is left in {', '.join(regions)}")
        return 0
    print(f"account {account}: these are removed:", *found, sep="\n  ")
    if not _confirm("Continue?", options):
        return 2
    left = [text for cleanup in cleanups for text in cleanup.run(clock)]
    print("left:" if left else "nothing is left", *left, sep="\n  ")
    return 1 if left else 0
