"""The command ``epaas``: options and exit codes.

    0 ok                        4 passphrase or token
    1 unexpected                5 not found, conflict, or keys that do not belong
    2 usage or invalid input    6 prediction failed or cancelled
    3 configuration             7 server unreachable or unavailable
    130 interrupted; what runs on the server goes on

Commands do their work in their own modules; here they come together, and errors become lines and exit codes. Loading
this package loads neither the TFHE runtime, numpy nor the HTTP library.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from epaas_client.cli import jobs, keys, models, predict
from epaas_client.cli.context import DEFAULT_SERVER, State
from epaas_client.console import Console
from epaas_shared import __version__
from epaas_shared.errors import EpaasError, InvalidRequest

EXIT_INTERRUPTED = 130
_GLOBAL_FLAGS = {"--json", "--quiet", "-q", "--debug", "--token-over-http"}
_GLOBAL_VALUES = {"--server", "-s", "--keystore", "--token-file", "--ca-file"}


class _Root(TyperGroup):
    """Takes the global options anywhere on the command line: ``epaas predict FILE --json`` is what people type."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            Console().urgent("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _global_options_first(args: list[str]) -> list[str]:
    first: list[str] = []
    rest: list[str] = []
    left = iter(args)
    for arg in left:
        if arg == "--":
            rest += [arg, *left]
        elif arg in _GLOBAL_FLAGS or ("=" in arg and arg.split("=")[0] in _GLOBAL_VALUES):
            first.append(arg)
        elif arg in _GLOBAL_VALUES:
            first += [arg, *([value] if (value := next(left, None)) is not None else [])]
        else:
            rest.append(arg)
    return first + rest


app = typer.Typer(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 unexpected, 2 invalid input, 3 configuration, 4 passphrase or token, 5 not found or "
    "conflict, 6 prediction failed, 7 server unreachable, 130 interrupted.",
)
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.command("predict")(predict.predict)
app.command("submit")(predict.submit)
app.add_typer(jobs.app, name="jobs")
app.command("result")(jobs.result)


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().result(f"epaas {__version__}")
        raise typer.Exit


@app.callback()
def epaas(
    context: typer.Context,
    server: Annotated[
        str | None, typer.Option("--server", "-s", envvar="EPAAS_URL", help=f"Address; else {DEFAULT_SERVER}.")
    ] = None,
    keystore: Annotated[
        Path | None, typer.Option(envvar="EPAAS_KEYSTORE", help="Folder of the secret keys; else in your data folder.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(envvar="EPAAS_TOKEN_FILE", help="File of the token, if the server wants one; else EPAAS_TOKEN."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(envvar="EPAAS_CA_FILE", help="Certificates (PEM) to trust, not the system's.")
    ] = None,
    token_over_http: Annotated[
        bool,
        typer.Option(
            "--token-over-http", envvar="EPAAS_TOKEN_OVER_HTTP", help="Send the token without TLS to another machine."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write results and errors only.")] = False,
    debug: Annotated[  # noqa: ARG001  (main looks for it, since parsing may fail)
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001  (its callback acts)
        bool, typer.Option("--version", help="Show the release.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Predictions on encrypted records: the server computes them and cannot read them.

    Begin with `epaas keys generate`, then `epaas predict records.csv --model NAME`. These options may stand anywhere.
    """
    context.obj = State(
        server,
        keystore,
        token_file=token_file,
        token_over_http=token_over_http,
        ca_file=ca_file,
        as_json=as_json,
        quiet=quiet,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. No traceback leaves here without ``--debug``."""
    args = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    console = Console(as_json="--json" in args)
    try:
        code = typer.main.get_command(app).main(args, prog_name="epaas", standalone_mode=False)
    except BrokenPipeError:
        # Whoever read the output has gone, as in `epaas models list | head -1`; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in args:
            traceback.print_exception(error)
        known = _as_epaas_error(error)
        console.error(known)
        return known.exit_code
    return int(code or 0)


def _as_epaas_error(error: Exception) -> EpaasError:
    if isinstance(error, EpaasError):
        return error
    if isinstance(error, typer.TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "epaas")
        message = error.format_message()
        return InvalidRequest(message[:1].lower() + message[1:].rstrip("."), hint=f"`{command} --help` shows how")
    return EpaasError(f"unexpected {type(error).__name__}: {error}", hint="run it again with --debug to see where")
