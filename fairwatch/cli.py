"""The command line: each command opens the site, calls one function, and shows what it answers."""

import errno
import sys
import traceback
from io import TextIOWrapper

import typer

from errors import CannotWrite, FairwatchError, WrongUsage
from fairwatch import place, show
from fairwatch.program import Program, program

app = program(name="fairwatch", no_args_is_help=True, cls=Program)
NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT)


@app.callback()
def fairwatch() -> None:
    """Fair internet-use monitoring: minutes that can be defended, deletion that can be proven."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; expected failures are a sentence and a code, never a trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a letter is no failure
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, prog_name="fairwatch", standalone_mode=False)
        sys.stdout.flush()
    except FairwatchError as error:
        show.warn(f"fairwatch: {error}")
        code = error.exit_code
    except typer.TyperException as error:
        show.warn(f"fairwatch: {error.format_message()}")
        code = WrongUsage.exit_code
    except (typer.Abort, KeyboardInterrupt):
        show.warn("fairwatch: stopped.")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        if error.errno not in NO_ROOM:
            code = _bug(arguments)
        else:
            show.warn(f"fairwatch: cannot write: {error}. Free space, or mend the folder's rights.")
            code = CannotWrite.exit_code
    except Exception:  # noqa: BLE001 (the last resort: a bug must not show a person its trace)
        code = _bug(arguments)
    sys.exit(code if isinstance(code, int) else 0)


def _bug(arguments: list[str] | None) -> int:
    """Keep the trace of the failure under way where IT finds it, and say so."""
    site = place.named_site(sys.argv[1:] if arguments is None else arguments)
    from fairwatch import doctor  # only a bug needs it, and it needs much

    where = doctor.log_trace(site, traceback.format_exc(), place.now())
    told = f"the trace is in {where}" if where else "its trace could not be written anywhere"
    show.warn(f"fairwatch: an unexpected failure (a bug); {told}.")
    return FairwatchError.exit_code
