"""The command ``epaas-server``. Results on stdout, the rest on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from epaas_server.cli import cluster, doctor, models, storage, tenants
from epaas_server.cli.output import DataDir, Json, result, settings_of
from epaas_shared import __version__
from epaas_shared.command import run_command

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Serve encrypted predictions."
)
circuits = typer.Typer(no_args_is_help=True, help="The compiled circuit library of this machine.")


def main() -> None:
    """Run the command; errors become lines on stderr and exit codes."""
    run_command("epaas-server", app)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [default: 8000].")] = None,
    data_dir: DataDir = None,
    workers: Annotated[int | None, typer.Option(help="Evaluation slots [default: 1].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of one evaluation [default: all cores].")] = None,
) -> None:
    """Serve the HTTP interface and evaluate predictions.

    Example: epaas-server serve --port 8000 --data-dir ./data
    """
    from epaas_server.serve import serve as run

    run(settings_of(host=host, port=port, data_dir=data_dir, workers=workers, threads=threads))


@app.command()
def worker(
    data_dir: DataDir = None,
    threads: Annotated[int | None, typer.Option(help="Threads of one evaluation [default: all cores].")] = None,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Evaluate predictions of a server that runs elsewhere over the same data directory and database.

    Example: epaas-server worker --data-dir ./data
    """
    from epaas_server.serve import run_worker

    run_worker(settings_of(data_dir=data_dir, threads=threads), until_stdin_closes=until_stdin_closes)


# in the order of --help
app.registered_commands += cluster.app.registered_commands + doctor.app.registered_commands
app.registered_commands += models.app.registered_commands
app.add_typer(tenants.tenant, name="tenant")
app.add_typer(tenants.token, name="token")
app.registered_commands += tenants.app.registered_commands + storage.app.registered_commands
app.add_typer(storage.database, name="database")
app.add_typer(circuits, name="circuits")


@circuits.command()
def build(as_json: Json = False) -> None:
    """Compile the circuit library where this machine does not have it yet (some seconds, once).

    Example: epaas-server circuits build
    """
    from epaas_server.circuits.library import ensure_library
    from epaas_shared.profile import default_profile

    profile = default_profile()
    folder = ensure_library(settings_of().cache_dir, profile)
    result({"profile": profile.name, "digest": profile.digest, "folder": str(folder)}, str(folder), as_json)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface."""
    from epaas_server.api.app import create_app

    sys.stdout.write(json.dumps(create_app(settings_of()).openapi(), indent=1, sort_keys=True) + "\n")


@app.command("report-schema")
def report_schema() -> None:
    """Print the JSON schema of reliability reports."""
    from epaas_shared.report import report_json_schema

    sys.stdout.write(json.dumps(report_json_schema(), indent=1, sort_keys=True) + "\n")


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{__version__}\n")
