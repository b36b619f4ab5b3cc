"""The command line: `tunestack ...`."""

from __future__ import annotations


def main() -> None:
    """Run the command that was typed, and exit with its code.

    0 done; 1 the check or the job failed; 2 invalid usage or settings; 3 the provider refused or failed; 130 interrupted.
    """
    # Nothing is imported above: Ctrl-C at any moment ends the process without a traceback.
    try:
        import os  # noqa: PLC0415
        import signal  # noqa: PLC0415
        import sys  # noqa: PLC0415

        def interrupt(*_: object) -> None:
            # An exception could get lost in the middle of an import, or at the end in a callback.
            os.write(2, b"interrupted\n")
            os._exit(130)

        is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_default:
            signal.signal(signal.SIGINT, interrupt)
        try:
            from tunestack.cli.commands import run  # noqa: PLC0415 - click is optional
        except ModuleNotFoundError as error:
            if error.name != "click":
                raise
            from tunestack._utils.extras import missing_extra  # noqa: PLC0415

            sys.stderr.write(f"error: {missing_extra('cli', error)}\n")
            sys.exit(2)
        if is_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            code = run()
        finally:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, interrupt)
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
