"""From a configuration to a bundle: data, training, choice of the output's scale, report, export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from epaas_models.augmentation import Augmentation
from epaas_models.binary_network import BinaryNetwork
from epaas_models.confidence import class_sums, fit_scale
from epaas_models.configuration import BinaryNetworkMethod, ModelConfiguration
from epaas_models.datasets import TASKS, Dataset, Split, split, splits
from epaas_models.examples import TaskExamples
from epaas_models.export import provenance, weights_file, write_bundle
from epaas_models.reliability.accuracy.chapter import spread
from epaas_models.reliability.evidence import Evidence
from epaas_models.reliability.measure import Thoroughness, measure_report
from epaas_models.reliability.subject import Subject
from epaas_models.rounding import train_rounded
from epaas_models.schema_learning import learn_schema
from epaas_models.teacher import Teacher, teacher_folder, teacher_for
from epaas_models.ternarisation import drop
from epaas_models.training import Observe, train, unobserved
from epaas_models.watching import EpochWatch, Watch
from epaas_shared.bundle import BundleManifest
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import ConfigurationError
from epaas_shared.features import Bits
from epaas_shared.heads import Scores
from epaas_shared.network import Network
from epaas_shared.report import Report
from epaas_shared.report.agreement import Agreement, TorchAgreement
from epaas_shared.schema import InputSchema, shipped_schemas

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how far it is and of how much."""

Learner = Callable[[Dataset, Split], InputSchema]
"""Learns a task's schema from the training rows of a split."""

PUBLISHED_SPLIT = 0
"""The split whose training rows the shipped schemas were learnt on, and whose test rows reports are about."""

_BATCH = 1000


@dataclass(frozen=True)
class Trained:
    """An integer network, how much of its last sums is one logit, and the torch module it comes from, if it does."""

    network: Network
    logit_unit: float
    module: BinaryNetwork | None = None


@dataclass(frozen=True)
class Fitted:
    network: Network
    manifest: BundleManifest
    report: Report


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def schema_of(configuration: ModelConfiguration, own: InputSchema | None = None) -> InputSchema:
    """The schema that a configuration names: one that is shipped, or the ``own`` frozen one of a provider.

    Raises :class:`ConfigurationError` if there is none or it does not go with the task, the method or the output.
    """
    schemas = shipped_schemas() if own is None else {own.name: own}
    schema = schemas.get(configuration.input_schema)
    if schema is None or schema.task != configuration.task:
        fitting = [name for name, found in schemas.items() if found.task == configuration.task]
        raise ConfigurationError(
            f"{configuration.input_schema!r} is no schema of the task {configuration.task!r}",
            field="input_schema",
            hint=f"there are {', '.join(fitting)}" if fitting else f"tasks: {', '.join(TASKS)}",
        )
    if len(schema.classes) > 2 and not isinstance(configuration.method, BinaryNetworkMethod):
        raise ConfigurationError("a single neuron tells two classes apart", field="method.kind", hint="binary-network")
    if len(schema.classes) == 2 and configuration.output == "scores":
        raise ConfigurationError(
            "two classes have one neuron, which gives a label and no scores", field="output", hint='use "label"'
        )
    return schema


def train_model(
    configuration: ModelConfiguration,
    dataset: Dataset,
    rows: NDArray[np.int64],
    schema: InputSchema,
    *,
    seed: int,
    progress: Progress = silent,
    checkpoint: Path | None = None,
    teachers: Path | None = None,
    device: str = "cpu",
    observe: Observe = unobserved,
) -> Trained:
    """The network of a configuration, learnt from some rows of a data set, whose label it gives.

    ``checkpoint`` is a file to go on from after an interruption; ``teachers`` is the folder where they are kept;
    ``device`` is torch's, for training; ``observe`` sees the network after each epoch.
    """
    method = configuration.method
    examples = TaskExamples(dataset, rows, schema, augmentation=augmentation_of(configuration), seed=seed)
    if not isinstance(method, BinaryNetworkMethod):
        return Trained(*train_rounded(examples.bits, examples.labels, schema, method))
    teacher = teacher_of(configuration, dataset, rows, examples, seed=seed, progress=progress, folder=teachers)
    if teacher:
        examples = examples.taught_by(teacher)
    torch.manual_seed(seed)
    module = BinaryNetwork(method.architecture.specs(schema), method.architecture.weights).to(device)
    train(module, examples, method.training, seed, partial(progress, "train"), checkpoint, observe)
    if method.drop:
        tune(module, examples, method.drop, method, seed, partial(progress, "fine-tune"))
    module.cpu()
    return Trained(module.export(), module.logit_unit, module)


def augmentation_of(configuration: ModelConfiguration) -> Augmentation | None:
    method = configuration.method
    return method.augmentation if isinstance(method, BinaryNetworkMethod) else None


def teacher_of(
    configuration: ModelConfiguration,
    dataset: Dataset,
    rows: NDArray[np.int64],
    examples: TaskExamples,
    *,
    seed: int,
    progress: Progress = silent,
    folder: Path | None = None,
) -> Teacher | None:
    """The teacher that a configuration names, for the examples of these rows."""
    method = configuration.method
    if not isinstance(method, BinaryNetworkMethod) or method.teacher is None:
        return None
    return teacher_for(
        examples,
        len(dataset.classes),
        method.teacher,
        augmentation=method.augmentation,
        data_digest=dataset.digest,
        rows=rows,
        seed=seed,
        folder=folder or teacher_folder(),
        progress=partial(progress, "teacher"),
    )


def tune(
    module: BinaryNetwork,
    examples: TaskExamples,
    share: float,
    method: BinaryNetworkMethod,
    seed: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Drop a share of a trained network's weights and train what is left (thesis 8.4.3)."""
    assert method.fine_tuning is not None
    drop(module, share)
    train(module, examples, method.fine_tuning, seed + 1, progress)


def fit(
    configuration: ModelConfiguration,
    dataset: Dataset,
    output: Path,
    *,
    seed: int,
    command: str,
    evaluation_splits: int = 0,
    thoroughness: Thoroughness = "full",
    progress: Progress = silent,
    checkpoint: Path | None = None,
    device: str = "cpu",
    watch: Watch | None = None,
    own_schema: InputSchema | None = None,
    learn: Learner | None = None,
) -> Fitted:
    """Train, measure and export a configuration. With ``evaluation_splits`` it is trained on other splits as well.

    ``watch`` sees each epoch of the training. A provider's own data set has its ``own_schema``, and ``learn`` makes one
    of the training rows of another split.

    Raises ArithmeticError if the exported network and torch disagree on any test row.
    """
    schema = schema_of(configuration, own_schema)
    evidence = Evidence.of(dataset, schema, split(dataset, PUBLISHED_SPLIT), configuration.validation_share)
    trained = train_model(
        configuration,
        dataset,
        evidence.fitting_rows,
        schema,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
        device=device,
        observe=unobserved if watch is None else EpochWatch(configuration, evidence.validation, watch),
    )
    network, held_out = trained.network, evidence.validation
    if configuration.output == "scores":
        scale = fit_scale(class_sums(network, held_out.bits), held_out.labels, configuration.score_bits)
        network = replace(network, head=Scores(len(dataset.classes), scale))
    agreeing = agreement(trained, evidence.test.bits)
    accuracies = []
    learn = learn or partial(learn_schema, configuration.input_schema)
    for number, other in enumerate(splits(dataset, evaluation_splits)):
        accuracies.append(_accuracy_on(configuration, dataset, other, learn(dataset, other)))
        progress("evaluate splits", number + 1, evaluation_splits)
    weights = weights_file(network)
    report = measure_report(
        Subject(network, schema, trained.logit_unit),
        evidence,
        configuration,
        weights=digest_bytes(weights),
        agreement=Agreement(torch=agreeing, encrypted=None),
        random_splits=spread(accuracies) if accuracies else None,
        thoroughness=thoroughness,
        seed=seed,
        command=command,
        progress=progress,
    )
    manifest = write_bundle(
        output,
        name=configuration.name,
        title=configuration.title,
        network=network,
        schema=schema,
        report=report,
        logit_unit=trained.logit_unit,
        calibration=TaskExamples(dataset, evidence.split.training, schema).bits,
        provenance=provenance(
            command=command,
            seed=seed,
            data=dataset.source,
            data_digest=dataset.digest,
            split=evidence.split.describe(),
            configuration=configuration.model_dump(mode="json", exclude_none=True),
        ),
    )
    return Fitted(network, manifest, report)


@torch.no_grad()
def agreement(trained: Trained, bits: Bits) -> TorchAgreement | None:
    """On how many rows torch and the exported integers have the same sums in the last layer: all of them."""
    if trained.module is None:
        return None
    agree = 0
    for part in np.array_split(bits, -(-len(bits) // _BATCH)):
        by_torch = trained.module.class_sums(torch.from_numpy(part).float()).numpy()
        agree += int((by_torch == class_sums(trained.network, part)).all(axis=1).sum())
    if agree != len(bits):
        raise ArithmeticError(f"torch and the integer network agree on {agree} of {len(bits)} rows only")
    return TorchAgreement(rows=len(bits), agree=agree)


def _accuracy_on(configuration: ModelConfiguration, dataset: Dataset, rows: Split, schema: InputSchema) -> float:
    """Test accuracy of a network trained on another split, with a schema learnt on its training rows alone."""
    fitting, _ = rows.validation(dataset, configuration.validation_share)
    trained = train_model(configuration, dataset, fitting, schema, seed=rows.seed)
    test = TaskExamples(dataset, rows.test, schema)
    return float(np.mean(np.array(trained.network.predict(test.bits)) == test.labels))
