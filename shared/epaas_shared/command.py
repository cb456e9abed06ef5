"""How a command ends: errors as lines on stderr and exit codes, never as a traceback.

Knows neither the commands nor how they parse their arguments.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from epaas_shared.errors import ConfigurationError, EpaasError

DEBUG_VARIABLE = "EPAAS_DEBUG"


def run_command(program: str, command: Callable[[], None]) -> None:
    """Run ``command``; on an error, say what happened and what to do, and exit with its code.

    What the system refuses (a file, a folder) is a matter of configuration; anything else that is no
    :class:`EpaasError` is a bug, whose traceback is shown where ``EPAAS_DEBUG`` is set.
    """
    try:
        command()
    except EpaasError as error:
        _end(program, error)
    except OSError as refused:
        name = f"{refused.filename}: " if refused.filename else ""
        _end(program, ConfigurationError(f"{name}{(refused.strerror or str(refused)).lower()}"))
    except Exception as bug:
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        hint = f"this is a bug; set {DEBUG_VARIABLE}=1 to see where"
        _end(program, EpaasError(f"unexpected {type(bug).__name__}: {str(bug)[:200]}", hint=hint))


def _end(program: str, error: EpaasError) -> None:
    sys.stderr.write(f"{program}: error: {error}\n")
    if error.hint:
        sys.stderr.write(f"{program}: hint: {error.hint}\n")
    sys.exit(error.exit_code)
