"""Search by cost: MNIST networks by accuracy and by the seconds of an encrypted prediction: ``make search``.

Ends with one line of JSON. A family of architectures is trained as configurations/mnist.toml says, by the same teacher,
for a few epochs and with wider limits of its sums; seconds are what the cost model says of the written bundle with the
rates of this machine. The front has the members that no cheaper one equals on the *validation* rows; the test rows only
report.

A member that is in the results already, from the same configuration, is not trained again; members of another family
or number of epochs leave the file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plots import plot_search
from tables import write_tables
from workbench import MACHINE, RESULTS, Workbench, report

from epaas_models.architecture import ConvolutionConfiguration, DenseConfiguration
from epaas_models.configuration import BinaryNetworkMethod, ModelConfiguration, load_configuration
from epaas_models.datasets import Dataset, DataSettings, load, split
from epaas_models.examples import TaskExamples
from epaas_models.fit import PUBLISHED_SPLIT, fit
from epaas_models.reliability.accuracy.classification import accuracy
from epaas_server.bundles import read_bundle
from epaas_server.cost import EvaluationCost, Rates
from epaas_server.plan import cost_of, make_plan

FILE = RESULTS / "search.json"
MODELS_FILE = RESULTS / "models.json"

KERNEL = 8
FAMILY = (
    (8, 4, 64),
    (12, 4, 64),
    (12, 4, 128),
    (16, 4, 128),
    (22, 4, 128),
    (8, 3, 64),
    (12, 3, 128),
    (16, 3, 128),
    (16, 3, 256),
    (22, 3, 256),
)
"""Filters and stride of the convolution, neurons of the dense layer after it."""

LIMITS = (38.0, 60.0)
LIMIT_PENALTY = 4.0
"""Of the sums of all members; configurations/mnist.toml, chosen after this search, has narrower ones."""


def main() -> None:
    names = [name_of(*member) for member in FAMILY]
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=4)
    options.add_argument("--only", nargs="*", default=names, choices=names)
    options.add_argument("--output", type=Path, default=FILE, help="results; of another file no table is made")
    chosen = options.parse_args()
    family = {configuration.name: configuration for configuration in configurations(chosen.epochs)}
    found = kept_members(chosen.output, family)
    rates = Workbench().rates
    missing = [configuration for name, configuration in family.items() if name in chosen.only and name not in found]
    # all are of one data set
    dataset = load("mnist", DataSettings()) if missing else None
    for configuration in missing:
        assert dataset is not None
        found[configuration.name] = trained(configuration, dataset)
        write(found, family, rates, chosen.epochs, chosen.output)
    print(json.dumps(write(found, family, rates, chosen.epochs, chosen.output)))


def name_of(filters: int, stride: int, neurons: int) -> str:
    return f"mnist-{filters}f-s{stride}-{neurons}"


def configurations(epochs: int) -> list[ModelConfiguration]:
    """The family: that of mnist with other hidden layers, for so many epochs."""
    base = load_configuration("mnist")
    method = base.method
    assert isinstance(method, BinaryNetworkMethod)
    training = method.training.model_copy(update={"epochs": epochs, "limits": LIMITS, "limit_penalty": LIMIT_PENALTY})
    members = []
    for filters, stride, neurons in FAMILY:
        hidden = (
            ConvolutionConfiguration(filters=filters, kernel=KERNEL, stride=stride),
            DenseConfiguration(outputs=neurons),
        )
        architecture = method.architecture.model_copy(update={"hidden": hidden})
        changed = method.model_copy(update={"architecture": architecture, "training": training})
        members.append(base.model_copy(update={"name": name_of(filters, stride, neurons), "method": changed}))
    return members


def kept_members(file: Path, family: dict[str, ModelConfiguration]) -> dict[str, dict[str, Any]]:
    """Members of the file that training would give again, by name."""
    if not file.exists():
        return {}
    return {
        member["name"]: member
        for member in json.loads(file.read_text())["members"]
        if member["name"] in family and member["configuration"] == family[member["name"]].training_digest
    }


def trained(configuration: ModelConfiguration, dataset: Dataset) -> dict[str, Any]:
    """A member's accuracies and the work of its encrypted evaluation."""
    report(f"{configuration.name}: training")
    with tempfile.TemporaryDirectory(prefix="epaas-search-") as name:
        fitted = fit(configuration, dataset, Path(name), seed=0, command="benchmarks/search.py", thoroughness="quick")
        bundle = read_bundle(Path(name))
    plan = make_plan(bundle, configuration.strategies, trust_measured_ranges=configuration.trust_measured_ranges)
    cost = cost_of(bundle, plan)
    _, rows = split(dataset, PUBLISHED_SPLIT).validation(dataset, configuration.validation_share)
    validation = TaskExamples(dataset, rows, bundle.schema)
    test = fitted.report.accuracy.accuracy
    member = {
        "name": configuration.name,
        "configuration": configuration.training_digest,
        "strategy": ", ".join(dict.fromkeys(plan.strategies)),
        "neurons": bundle.network.neurons,
        "bootstraps": cost.bootstraps,
        "validation_accuracy": round(accuracy(fitted.network, validation.bits, validation.labels), 4),
        "test_accuracy": test.value,
        "interval": list(test.interval),
        "cost": cost.model_dump(mode="json"),
    }
    report(json.dumps({key: value for key, value in member.items() if key != "cost"}))
    return member


def write(
    found: dict[str, dict[str, Any]], family: dict[str, ModelConfiguration], rates: Rates, epochs: int, file: Path
) -> dict[str, Any]:
    """Put the members into the file with their seconds on this machine and which are the front; draw them."""
    members = [{**found[name], "seconds": seconds_of(found[name], rates)} for name in family if name in found]
    best = {member["name"] for member in front(members)}
    result = {
        "benchmark": "search",
        "machine": MACHINE,
        "epochs": epochs,
        "rates": rates.model_dump(mode="json"),
        "members": [{**member, "front": member["name"] in best} for member in members],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    models = json.loads(MODELS_FILE.read_text())["models"] if MODELS_FILE.exists() else []
    plot_search(result, [model for model in models if model["task"] == "mnist"], file.with_suffix(".svg"))
    if file == FILE:
        write_tables()
    return result


def seconds_of(member: dict[str, Any], rates: Rates) -> float:
    """Of one encrypted prediction, by the cost model."""
    return round(EvaluationCost.model_validate(member["cost"]).seconds(rates), 2)


def front(members: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are better on the validation rows than every cheaper one, cheapest first."""
    best: list[dict[str, Any]] = []
    for member in sorted(members, key=lambda member: (member["seconds"], -member["validation_accuracy"])):
        if not best or member["validation_accuracy"] > best[-1]["validation_accuracy"]:
            best.append(member)
    return best


if __name__ == "__main__":
    main()
