"""What the codes and words mean."""

import typer

from errors import EXPECTED, FairwatchError
from fairwatch import show
from fairwatch.options import AsJson
from fairwatch.program import Commands

help_app = typer.Typer(help="What the codes and words mean.", no_args_is_help=True)


@help_app.command("exit-codes")
def exit_codes(json_: AsJson = False) -> None:
    """What each exit code means."""
    codes = [
        (0, "done"),
        (1, FairwatchError.meaning),
        *((e.exit_code, e.meaning) for e in EXPECTED),
    ]
    show.as_json(dict(codes)) if json_ else show.table("Exit codes", ("code", "meaning"), codes)


COMMANDS: Commands = {"help": help_app}
