"""A training that takes a moment, of the breast cancer data that come with scikit-learn."""

from __future__ import annotations

from typing import Any

from epaas_models.configuration import ModelConfiguration
from epaas_models.jobs.request import TrainingRequest


def configuration(epochs: int = 3, **entries: Any) -> ModelConfiguration:
    return ModelConfiguration.model_validate(
        {
            "name": "tiny",
            "title": "A tiny model",
            "task": "breast-cancer",
            "input_schema": "breast-cancer/v1",
            "method": {
                "kind": "binary-network",
                "architecture": {"hidden": [{"kind": "dense", "outputs": 4}]},
                "training": {"epochs": epochs},
            },
            **entries,
        }
    )


def request(epochs: int = 3, **entries: Any) -> TrainingRequest:
    return TrainingRequest.model_validate(
        {"configuration": configuration(epochs), "thoroughness": "quick", "command": "a test", **entries}
    )
