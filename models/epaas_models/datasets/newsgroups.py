"""20 Newsgroups (Lang 1995; thesis B.1), the split by date: 11,314 articles to train on, 7,532 later ones as the test.

The thesis split another archive of 19,997 articles at random, in which answers to one article are on both sides: errors
here are higher, and not comparable.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from epaas_models.datasets.archives import tar_members
from epaas_models.datasets.dataset import Dataset
from epaas_models.datasets.files import DataFile, DataSettings, Progress

ARCHIVE = DataFile(
    folder="20news",
    name="20news-bydate.tar.gz",
    sha256="8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
    repacked=("affe0286b56e1dcbe469c17121bfb0e5d6052681cca6cde83b16c5101b2fedfc",),
    source="the collector's page, http://qwone.com/~jason/20Newsgroups/",
    url="http://qwone.com/~jason/20Newsgroups/20news-bydate.tar.gz",
)
_PARTS = ("20news-bydate-train", "20news-bydate-test")


def load(settings: DataSettings, progress: Progress, *, file: DataFile = ARCHIVE) -> Dataset:
    """``text`` (18846,) and the newsgroups as labels; the last 7,532 rows are the test. Rows are in order of class.

    The header of an article (all before its first empty line), which names the newsgroup, is left out, as the code of
    the thesis does; quotations and signatures stay, and make the task easier than understanding would.
    """
    members = {PurePosixPath(name): text for name, text in tar_members(file, settings, progress).items()}
    rows = [path for part in _PARTS for path in members if path.parts[0] == part]
    classes = tuple(sorted({path.parts[1] for path in rows}))
    texts = np.array([_body(members[path].decode("latin-1")) for path in rows], dtype=object)
    return Dataset(
        name="20-newsgroups",
        source="20 Newsgroups by date, http://qwone.com/~jason/20Newsgroups/, without headers",
        target="newsgroup",
        classes=classes,
        columns={"text": texts},
        labels=np.array([classes.index(path.parts[1]) for path in rows], dtype=np.int64),
        published_test=sum(path.parts[0] == _PARTS[1] for path in rows),
    )


def _body(article: str) -> str:
    return article.partition("\n\n")[2]
