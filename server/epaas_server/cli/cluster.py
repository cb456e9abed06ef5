"""``epaas-server ray-node``: machines that evaluate together (docs/fan-out.md)."""

from __future__ import annotations

from typing import Annotated

import typer

from epaas_server.cli.output import settings_of

app = typer.Typer()


@app.command("ray-node")
def ray_node(
    head: Annotated[str | None, typer.Argument(metavar="[HOST:PORT]", help="The cluster's head.")] = None,
    port: Annotated[int, typer.Option(help="Port of the head, where this machine becomes it.")] = 6379,
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads that evaluate; 0 on a machine that only has a worker.")
    ] = None,
    object_store_megabytes: Annotated[
        int, typer.Option(min=80, help="Memory for keys and ciphertexts on their way; what is more goes to disk.")
    ] = 1_000,
) -> None:
    """Make this machine one of a Ray cluster that evaluates layers: its head, or another that joins the head.

    Example: epaas-server ray-node 10.0.0.1:6379
    """
    from epaas_server.circuits.library import ensure_library
    from epaas_server.engine.cluster.joining import become_node
    from epaas_shared.profile import default_profile

    settings = settings_of()
    threads = settings.threads if threads is None else threads
    if threads:
        ensure_library(settings.cache_dir, default_profile())
    become_node(head, port, threads, object_store_megabytes * 1_000_000)
