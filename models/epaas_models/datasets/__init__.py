"""Data sets and their splits: ``load`` gives that of a task. Knows no bits and no networks."""

from __future__ import annotations

from collections.abc import Callable

from epaas_models.datasets import breast_cancer, diabetes, faces, mnist
from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataSettings, Progress
from epaas_models.datasets.split import Rows, Split, split, splits
from epaas_shared.errors import InvalidRequest

__all__ = ["TASKS", "DataSettings", "Dataset", "Progress", "Rows", "Split", "load", "split", "splits"]

_LOADERS: dict[str, Callable[[DataSettings, Progress], Dataset]] = {
    "breast-cancer": lambda _settings, _progress: breast_cancer.load(),
    "mnist": mnist.load,
    "diabetes": diabetes.load,
    "faces": faces.load,
}

TASKS = tuple(_LOADERS)


def load(task: str, settings: DataSettings, progress: Progress = lambda _what, _done, _of: None) -> Dataset:
    """The data set of a task. Raises :class:`InvalidRequest` for a task that there is not, and what its files raise."""
    if task not in _LOADERS:
        raise InvalidRequest(f"there is no task {task!r}", field="task", hint=f"tasks: {', '.join(TASKS)}")
    return _LOADERS[task](settings, progress)
