"""The command ``epaas-server``. Results on stdout, the rest on stderr; the exit codes are those of the error tree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from epaas_server.scopes import Scope
from epaas_shared import __version__
from epaas_shared.command import run_command

if TYPE_CHECKING:
    from epaas_server.plan import Plan
    from epaas_server.registry import Registry
    from epaas_server.tokens import Token
    from epaas_shared.protocol import Model, ModelVersion

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Serve encrypted predictions."
)
circuits = typer.Typer(no_args_is_help=True, help="The compiled circuit library of this machine.")
app.add_typer(circuits, name="circuits")
token = typer.Typer(no_args_is_help=True, help="Tokens of those who may publish over HTTP.")
app.add_typer(token, name="token")

DataDir = Annotated[Path | None, typer.Option(help="Where bundles, keys, jobs and the database are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(help="How layers are evaluated: named once for all, or once for each layer [default: the cheapest]."),
]
TrustMeasuredRanges = Annotated[
    bool, typer.Option(help="Provide for the sums that training measured and a margin, not for every possible record.")
]


ModelArgument = Annotated[str, typer.Argument(help="The model's name.")]
Expected = Annotated[
    int | None, typer.Option(min=1, help="Refuse if another version than this is stable by now [default: do not look].")
]


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

    run(_settings(host=host, port=port, data_dir=data_dir, workers=workers, threads=threads))


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

    run_worker(_settings(data_dir=data_dir, threads=threads), until_stdin_closes=until_stdin_closes)


@app.command()
def publish(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder, as `epaas-train fit` wrote it.")],
    strategy: Strategies = None,
    trust_measured_ranges: TrustMeasuredRanges = False,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Let it answer only those who name its version, until it is promoted.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check a model bundle and let it answer as the next version of its name. Nothing is compiled, no client is told.

    One that is a version already stays that version; publishing it is a promotion then.

    Example: epaas-server publish ./bundles/breast-cancer --data-dir ./data
    """
    from epaas_server.services import Services
    from epaas_shared.protocol import Alias

    registry = Services.open(_settings(data_dir=data_dir)).registry
    alias = Alias.CANDIDATE if candidate else Alias.STABLE
    model = registry.publish(bundle, strategy or (), trust_measured_ranges=trust_measured_ranges, alias=alias)
    _planned_result(registry, model, as_json)


@app.command()
def promote(
    name: ModelArgument,
    version: Annotated[int, typer.Argument(min=1, help="The version that answers from now on.")],
    expected: Expected = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a published version answer those who name the model alone. Predictions that run finish by their own version.

    Example: epaas-server promote breast-cancer 2 --data-dir ./data
    """
    from epaas_server.services import Services

    _stable_result(Services.open(_settings(data_dir=data_dir)).registry.promote(name, version, expected), as_json)


@app.command()
def rollback(name: ModelArgument, expected: Expected = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let the version answer that was stable before the present one; twice goes two back.

    Example: epaas-server rollback breast-cancer --data-dir ./data
    """
    from epaas_server.services import Services

    _stable_result(Services.open(_settings(data_dir=data_dir)).registry.roll_back(name, expected), as_json)


@app.command()
def versions(name: ModelArgument, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all versions of a model, and which are stable and the candidate.

    Example: epaas-server versions breast-cancer --data-dir ./data
    """
    from epaas_server.services import Services

    found = Services.open(_settings(data_dir=data_dir)).registry.versions_of(name)
    lines = []
    for each in found.versions:
        aliases = [alias.value for alias, version in found.aliases.items() if version == each.version]
        marks = f" ({', '.join(aliases)})" if aliases else ""
        lines.append(f"{name} version {each.version}{marks}: {each.title}, {each.digest[:12]}")
    _result(found.model_dump(mode="json"), "\n".join(lines), as_json)


@app.command()
def plan(
    model: ModelArgument,
    strategy: Strategies = None,
    trust_measured_ranges: TrustMeasuredRanges = False,
    version: Annotated[int | None, typer.Option(min=1, help="Of this version [default: the stable one].")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Change how a version of a model is evaluated. Nothing is compiled, no client is told.

    Example: epaas-server plan breast-cancer --strategy reduce-tree --data-dir ./data
    """
    from epaas_server.services import Services

    registry = Services.open(_settings(data_dir=data_dir)).registry
    changed = registry.change_plan(model, strategy or (), trust_measured_ranges=trust_measured_ranges, version=version)
    _planned_result(registry, changed, as_json)


@app.command()
def models(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the stable version of every published model, and how it is evaluated."""
    from epaas_server.services import Services

    registry = Services.open(_settings(data_dir=data_dir)).registry
    planned = [(model, registry.plan(model)) for model in registry.versions()]
    lines = [f"{model.name} version {model.version}: {model.title} ({_summary(plan)})" for model, plan in planned]
    documents = [{**model.model_dump(mode="json"), "plan": plan.model_dump(mode="json")} for model, plan in planned]
    _result({"models": documents}, "\n".join(lines), as_json)


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.")],
    scope: Annotated[Scope, typer.Option(help="What it allows.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it. It is shown only now: the server keeps no more than its SHA-256.

    Example: epaas-server token create "training service" --scope publish --data-dir ./data
    """
    from epaas_server.services import Services

    made, text = Services.open(_settings(data_dir=data_dir)).tokens.create(name, scope)
    _result({**_token_document(made), "token": text}, text, as_json)


@token.command("list")
def list_tokens(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tokens that are valid: their ids, names and scopes."""
    from epaas_server.services import Services

    found = Services.open(_settings(data_dir=data_dir)).tokens.all()
    lines = [f"{each.id} {each.scope} {each.created_at:%Y-%m-%d} {each.name}" for each in found]
    _result({"tokens": [_token_document(each) for each in found]}, "\n".join(lines), as_json)


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a token allow nothing from now on.

    Example: epaas-server token revoke 3f0c5a9e1b2d4c68 --data-dir ./data
    """
    from epaas_server.services import Services

    Services.open(_settings(data_dir=data_dir)).tokens.revoke(token_id)
    _result({"revoked": token_id}, f"{token_id} is revoked", as_json)


@circuits.command()
def build(as_json: Json = False) -> None:
    """Compile the circuit library where this machine does not have it yet (some seconds, once).

    Example: epaas-server circuits build
    """
    from epaas_server.circuits.library import ensure_library
    from epaas_shared.profile import default_profile

    profile = default_profile()
    folder = ensure_library(_settings().cache_dir, profile)
    _result({"profile": profile.name, "digest": profile.digest, "folder": str(folder)}, str(folder), as_json)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface."""
    from epaas_server.api.app import create_app

    sys.stdout.write(json.dumps(create_app(_settings()).openapi(), indent=1, sort_keys=True) + "\n")


@app.command("report-schema")
def report_schema() -> None:
    """Print the JSON schema of reliability reports."""
    from epaas_shared.report import report_json_schema

    sys.stdout.write(json.dumps(report_json_schema(), indent=1, sort_keys=True) + "\n")


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{__version__}\n")


def _settings(**given: Any) -> Any:
    """Settings from the environment, overridden by the options that were given."""
    from pydantic import ValidationError

    from epaas_server.settings import Settings
    from epaas_shared.errors import InvalidRequest

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise InvalidRequest(first["msg"].lower(), field=".".join(str(part) for part in first["loc"])) from None


def _planned_result(registry: Registry, model: ModelVersion, as_json: bool) -> None:
    plan = registry.plan(model)
    if not plan.hides_weights:
        _warn("the cost of a request will say which weights of this model are zero, and something of its thresholds")
    if not plan.exact:
        _warn("predictions will differ from the plain model where a sum is near its threshold")
    text = f"{model.name} version {model.version} ({model.digest[:12]}, {model.cost.bootstraps} bootstraps a record)"
    document = {**model.model_dump(mode="json"), "plan": plan.model_dump(mode="json")}
    _result(document, f"{text}, by {_summary(plan)}", as_json)


def _stable_result(model: Model, as_json: bool) -> None:
    text = f"{model.name} version {model.version} ({model.digest[:12]}) is stable"
    _result(model.model_dump(mode="json"), text, as_json)


def _token_document(token: Token) -> dict[str, Any]:
    return {"id": token.id, "name": token.name, "scope": token.scope, "created_at": token.created_at.isoformat()}


def _summary(plan: Plan) -> str:
    """Strategies and ranges in a line."""
    ranges = "measured ranges" if any(layer.sums.source == "measured" for layer in plan.layers) else "worst-case ranges"
    return f"{', '.join(dict.fromkeys(plan.strategies))}; {ranges}"


def _warn(text: str) -> None:
    sys.stderr.write(f"epaas-server: warning: {text}\n")


def _result(document: dict[str, Any], text: str, as_json: bool) -> None:
    sys.stdout.write((json.dumps(document) if as_json else text) + "\n")
