"""All experiments and all claims of this release, by chapter."""

from __future__ import annotations

from epaas_models.experiments import focal, label_noise, low_rank, stable_rank
from epaas_models.experiments.claims import Claim
from epaas_models.experiments.experiment import Experiment
from epaas_shared.errors import ConfigurationError

EXPERIMENTS: tuple[Experiment, ...] = (
    *stable_rank.EXPERIMENTS,
    *label_noise.EXPERIMENTS,
    *low_rank.EXPERIMENTS,
    *focal.EXPERIMENTS,
)

CLAIMS: tuple[Claim, ...] = (*stable_rank.CLAIMS, *label_noise.CLAIMS, *low_rank.CLAIMS, *focal.CLAIMS)


def experiment_named(name: str) -> Experiment:
    """Raises :class:`ConfigurationError` for a name that there is not."""
    for experiment in EXPERIMENTS:
        if experiment.name == name:
            return experiment
    known = ", ".join(experiment.name for experiment in EXPERIMENTS)
    raise ConfigurationError(f"there is no experiment {name!r}", field="experiment", hint=f"there are {known}")
