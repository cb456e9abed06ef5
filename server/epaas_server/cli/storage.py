"""``epaas-server database`` and ``sweep``: the operator's work on what is kept."""

from __future__ import annotations

import typer

from epaas_server.cli.output import DataDir, Json, result, services_of, settings_of

app = typer.Typer()
database = typer.Typer(no_args_is_help=True, help="The database's schema.")


@database.command()
def migrate(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Bring the database to this release's schema, all or nothing. Processes of the release before may go on meanwhile.

    An SQLite database is brought there by whatever opens it.

    Example: epaas-server database migrate
    """
    from epaas_server import migrations
    from epaas_server.database import answering, connect, database_url

    settings = settings_of(data_dir=data_dir)
    engine = connect(database_url(settings.resolved_database_url, settings.database_password_file))
    with answering():
        schema = migrations.upgrade(engine)
    result({"schema": schema}, f"the database has the schema {schema}", as_json)


@app.command()
def sweep(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Erase now what is over its time, and blobs that nothing names; `serve` does it once an hour.

    Example: epaas-server sweep
    """
    erased = services_of(data_dir).retention.sweep()
    text = (
        f"erased {erased.predictions} predictions, {erased.keysets} keysets, {erased.orphaned_blobs} orphaned blobs "
        f"and {erased.audit_events} audit events"
    )
    result(erased.model_dump(), text, as_json)
