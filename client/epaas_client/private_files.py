"""Files with secrets in them: nobody but their owner may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from epaas_shared.errors import ConfigurationError


def refuse_shared(path: Path, status: os.stat_result) -> None:
    """Raises :class:`ConfigurationError` for a file that its group or others may read; ``status`` is the file's."""
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(f"{path} can be read by others", hint=f"run `chmod 600 {path}`")
