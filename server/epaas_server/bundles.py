"""Reads model bundles (:mod:`epaas_shared.bundle_folder`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError

from epaas_shared import bundle_folder
from epaas_shared.bundle import WEIGHTS_FILE
from epaas_shared.bundle_folder import Bundle
from epaas_shared.errors import InvalidBundle

__all__ = ["Bundle", "read_bundle"]


def read_bundle(folder: Path) -> Bundle:
    """Read and check the bundle in ``folder``. Raises :class:`InvalidBundle` naming what does not fit."""
    return bundle_folder.read_bundle(folder, _tensors)


def _tensors(data: bytes) -> dict[str, Any]:
    try:
        tensors: dict[str, Any] = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InvalidBundle(f"cannot be read: {str(error)[:200]}", field=WEIGHTS_FILE) from None
    return tensors
