"""``python -m epaas_models.jobs FOLDER``: the process of one job of a service."""

from __future__ import annotations

import sys
from pathlib import Path

from epaas_models.datasets import DataSettings
from epaas_models.jobs.folder import JobFolder
from epaas_models.jobs.run import run
from epaas_shared.errors import EpaasError

if __name__ == "__main__":
    try:
        run(JobFolder(Path(sys.argv[1])), DataSettings())
    except EpaasError as error:
        sys.exit(f"{error.title}: {error}")
