"""`tunestack completion`: print the script that completes commands in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tunestack.cli.groups import examples
from tunestack.cli.output import out
from tunestack.cli.powershell import PowerShellComplete

SHELLS = ("bash", "zsh", "fish", PowerShellComplete.name)


@click.command(
    epilog=examples(
        'eval "$(tunestack completion bash)"',
        "tunestack completion fish > ~/.config/fish/completions/tunestack.fish",
        page="cli.md",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell.

    For zsh, add the command to ~/.zshrc as for bash. For PowerShell, add to the profile: tunestack completion powershell |
    Out-String | Invoke-Expression
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - one of the choices
    out(found(ctx.find_root().command, {}, "tunestack", "_TUNESTACK_COMPLETE").source())
