"""``epaas-server publish``, ``promote``, ``rollback``, ``versions``, ``plan``, ``models``: what the registry does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epaas_server.cli.output import DataDir, Json, result, services_of, warn

if TYPE_CHECKING:
    from epaas_server.plan import Plan
    from epaas_server.registry import Registry
    from epaas_server.services import Services
    from epaas_shared.protocol import Model, ModelVersion

app = typer.Typer()

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
    from epaas_shared.protocol import Alias

    services = services_of(data_dir)
    registry = services.registry
    alias = Alias.CANDIDATE if candidate else Alias.STABLE
    model = registry.publish(bundle, strategy or (), trust_measured_ranges=trust_measured_ranges, alias=alias)
    _note(services, "MODEL_PUBLISHED", f"{model.name} {model.version} {alias.value}")
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

    services = services_of(data_dir)
    model = services.registry.promote(name, version, expected)
    _note(services, "MODEL_PROMOTED", f"{name} {version}")
    _stable_result(model, as_json)


@app.command()
def rollback(name: ModelArgument, expected: Expected = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let the version answer that was stable before the present one; twice goes two back.

    Example: epaas-server rollback breast-cancer --data-dir ./data
    """

    services = services_of(data_dir)
    model = services.registry.roll_back(name, expected)
    _note(services, "MODEL_ROLLED_BACK", f"{name} {model.version}")
    _stable_result(model, as_json)


@app.command()
def versions(name: ModelArgument, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all versions of a model, and which are stable and the candidate.

    Example: epaas-server versions breast-cancer --data-dir ./data
    """

    found = services_of(data_dir).registry.versions_of(name)
    lines = []
    for each in found.versions:
        aliases = [alias.value for alias, version in found.aliases.items() if version == each.version]
        marks = f" ({', '.join(aliases)})" if aliases else ""
        lines.append(f"{name} version {each.version}{marks}: {each.title}, {each.digest[:12]}")
    result(found.model_dump(mode="json"), "\n".join(lines), as_json)


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

    registry = services_of(data_dir).registry
    changed = registry.change_plan(model, strategy or (), trust_measured_ranges=trust_measured_ranges, version=version)
    _planned_result(registry, changed, as_json)


@app.command()
def models(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the stable version of every published model, and how it is evaluated."""

    registry = services_of(data_dir).registry
    planned = [(model, registry.served(model.name, model.version).plan) for model in registry.versions()]
    lines = [f"{model.name} version {model.version}: {model.title} ({_summary(plan)})" for model, plan in planned]
    documents = [{**model.model_dump(mode="json"), "plan": plan.model_dump(mode="json")} for model, plan in planned]
    result({"models": documents}, "\n".join(lines), as_json)


def _note(services: Services, action: str, subject: str) -> None:
    """In the audit log."""
    from epaas_server.audit import COMMAND, Action
    from epaas_server.tables import DEFAULT_TENANT

    services.audit.add(DEFAULT_TENANT, COMMAND, Action[action], subject)


def _planned_result(registry: Registry, model: ModelVersion, as_json: bool) -> None:
    plan = registry.served(model.name, model.version).plan
    if not plan.hides_weights:
        warn("the cost of a request will say which weights of this model are zero, and something of its thresholds")
    if not plan.exact:
        warn("predictions will differ from the plain model where a sum is near its threshold")
    text = f"{model.name} version {model.version} ({model.digest[:12]}, {model.cost.bootstraps} bootstraps a record)"
    document = {**model.model_dump(mode="json"), "plan": plan.model_dump(mode="json")}
    result(document, f"{text}, by {_summary(plan)}", as_json)


def _stable_result(model: Model, as_json: bool) -> None:
    text = f"{model.name} version {model.version} ({model.digest[:12]}) is stable"
    result(model.model_dump(mode="json"), text, as_json)


def _summary(plan: Plan) -> str:
    """Strategies and ranges in a line."""
    ranges = "measured ranges" if any(layer.sums.source == "measured" for layer in plan.layers) else "worst-case ranges"
    return f"{', '.join(dict.fromkeys(plan.strategies))}; {ranges}"
