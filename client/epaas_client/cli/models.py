"""``epaas models``: what the server offers, and what a record of each task looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from epaas_client.cli.context import State, VersionOption
from epaas_client.console import clean
from epaas_shared.errors import InvalidRequest
from epaas_shared.protocol import ModelVersion
from epaas_shared.quantities import duration
from epaas_shared.scores import ScoreScale

if TYPE_CHECKING:
    from epaas_shared.features import Feature

app = typer.Typer(help="What the server offers.")

NameArgument = Annotated[str, typer.Argument(help="Name of the model; see `epaas models list`.")]

_SHOWN_VALUES = 5
"""How many values of a category the table of columns shows."""


@app.command("list", epilog="Example: epaas models list")
def list_models(context: typer.Context) -> None:
    """Show the stable version of each model."""
    state = State.of(context)
    with state.client() as client:
        found = client.models()
    if state.as_json:
        state.console.document({"models": [model.model_dump(mode="json") for model in found]})
    elif found:
        rows = [(model.name, model.version, model.task, _cost(model), model.title) for model in found]
        state.console.table(("NAME", "VERSION", "TASK", "A RECORD TAKES", "TITLE"), rows)
    else:
        state.console.note("the server has no models yet")


@app.command(epilog="Example: epaas models show breast-cancer")
def show(context: typer.Context, name: NameArgument, version: VersionOption = None) -> None:
    """Show a model and what a record for it looks like."""
    state = State.of(context)
    with state.client() as client:
        model = client.model(name, version)
        schema = client.schema(model.input_schema)
    if state.as_json:
        state.console.document({"model": model.model_dump(mode="json"), "schema": schema.model_dump(mode="json")})
        return
    facts = [
        ("model", f"{model.name} version {model.version}, {model.title}"),
        ("published", model.published_at),
        ("digest", model.digest),
        ("task", f"{model.task}: {schema.title}"),
        ("predicts", f"{schema.target}, one of {', '.join(schema.classes)}"),
        ("output", _output(model.scores)),
        ("a record takes", _cost(model)),
        ("security", f"{model.security_bits} bits, profile {model.profile_name}"),
        ("p_error", f"at most 2^{model.log2_p_error} a bootstrap"),
    ]
    lines = [f"{label:<16}{clean(str(value))}" for label, value in facts]
    state.console.result("\n".join([*lines, "", "a record has these columns:"]))
    rows = [(feature.name, _values(feature), feature.description) for feature in schema.features]
    state.console.table(("COLUMN", "VALUES", "WHAT IT IS"), rows)
    state.console.note(f"a column {schema.target!r} with the true label may be there too; it is never sent")


@app.command(epilog="Example: epaas models report breast-cancer")
def report(
    context: typer.Context,
    name: NameArgument,
    version: VersionOption = None,
    page: Annotated[bool, typer.Option("--page", help="Print the address of the report's page instead.")] = False,
) -> None:
    """Show how reliable a model is, as its report says; with --json the whole report."""
    from epaas_client.cli.report import known_report, report_lines

    state = State.of(context)
    with state.client() as client:
        version = client.model(name).version if version is None else version
        address = client.report_page(name, version)
        found = None if page else client.report(name, version)
    known = known_report(found)
    if page and state.as_json:
        state.console.document({"page": address})
    elif page:
        state.console.result(clean(address))
    elif known is None or state.as_json:
        state.console.document(found)
        if known is None:
            state.console.note("this report has another format than this release knows: it is shown as it is")
    else:
        state.console.result("\n".join(report_lines(known)))
        state.console.note(f"see the page at {address}")


@app.command(epilog="Example: epaas models compare mnist mnist-binary  (or mnist@1 mnist@2)")
def compare(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(help="Two or more models of one task: NAME, or NAME@VERSION.")],
) -> None:
    """Show what the reports of models say, side by side."""
    from epaas_client.cli.report import known_report
    from epaas_shared.report.comparison import as_document, as_lines
    from epaas_shared.report.comparison import compare as compare_reports

    state = State.of(context)
    asked = [_name_and_version(model) for model in models]
    if len(asked) < 2:
        raise InvalidRequest("there is one model only", field="models", hint="name two or more")
    reports, names = [], []
    with state.client() as client:
        for name, version in asked:
            found = client.model(name, version)
            report = known_report(client.report(name, found.version))
            if report is None:
                raise InvalidRequest(f"the report of {name} has another format than this release knows", field="models")
            reports.append(report)
            names.append(f"{found.name}@{found.version}")
    if len({report.task for report in reports}) > 1:
        tasks = ", ".join(sorted({report.task for report in reports}))
        raise InvalidRequest(f"these are models of several tasks: {tasks}", field="models", hint="name models of one")
    rows = compare_reports(reports)
    if state.as_json:
        state.console.document(as_document(names, rows))
    else:
        state.console.result("\n".join(clean(line) for line in as_lines(names, rows)))


def _name_and_version(text: str) -> tuple[str, int | None]:
    name, marked, version = text.partition("@")
    if not marked:
        return name, None
    if not version.isdecimal() or not int(version):
        raise InvalidRequest(f"{version!r} is no version", field="models", hint="NAME@VERSION, such as mnist@2")
    return name, int(version)


def _values(feature: Feature) -> str:
    """Which values a column may have, in a few words."""
    match feature.kind:
        case "image":
            return f"a picture, {feature.height} x {feature.width} grey levels 0 to 255"
        case "categories":
            shown = ", ".join(feature.values[:_SHOWN_VALUES])
            more = f", ... ({len(feature.values)} in all)" if len(feature.values) > _SHOWN_VALUES else ""
            return f"{shown}{more}{', or anything else' if feature.other else ''}"
        case _:
            return f"{feature.minimum:g} to {feature.maximum:g}"


def _output(scale: ScoreScale | None) -> str:
    if scale is None:
        return "label only, without a confidence"
    calibrated = "not calibrated" if scale.temperature is None else f"calibrated (temperature {scale.temperature:g})"
    return f"scores of {scale.greatest_level + 1} levels, {calibrated}"


def _cost(model: ModelVersion) -> str:
    bootstraps = f"{model.cost.bootstraps} bootstraps"
    return bootstraps if model.cost.seconds is None else f"{bootstraps}, about {duration(model.cost.seconds)}"
