"""The command line: `tunestack ...`."""

from __future__ import annotations


def main() -> None:
    """Run the command line of the process, and exit.

    Exit codes: 0 done; 1 a check, job, endpoint or evaluation failed, or the data is invalid; 2 invalid usage or settings;
    3 the provider refused or failed; 130 interrupted.
    """
    # Nothing is imported above: Ctrl-C at any moment ends the process without a traceback.
    try:
        import gc  # noqa: PLC0415

        gc.set_threshold(50_000)  # what modules create stays: searching it for garbage takes time
        from tunestack.cli.interrupts import exit_at_interrupt  # noqa: PLC0415

        with exit_at_interrupt():
            try:
                from tunestack.cli.commands import run  # noqa: PLC0415 - click is optional
            except ModuleNotFoundError as error:
                if error.name != "click":
                    raise
                import sys  # noqa: PLC0415

                from tunestack._utils.extras import missing_extra  # noqa: PLC0415

                sys.stderr.write(f"error: {missing_extra('cli', error)}\n")
                raise SystemExit(2) from error
        code = run()
        gc.freeze()  # the process ends: its memory is not searched once more
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
