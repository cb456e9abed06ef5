"""Everything that the command line writes.

The result goes to the standard output, all else to the standard error: lower case, prefixed ``epaas:``, no full stop.
An error is one line, and a hint a second. Progress is a bar where the standard error is a terminal, and a line every
tenth elsewhere. With ``--json`` the result and the error are one JSON object each and there are no notes. Text from a
server is stripped of control characters. This module knows nothing of what it is told to write.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from epaas_shared.errors import EpaasError
from epaas_shared.protocol import Problem
from epaas_shared.quantities import duration

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

ProgressUpdate = Callable[[int, int, float | None], None]
"""Called with what is done, what there is in all, and the seconds left where they are known."""

_STEPS = 10


class Console:
    """The terminal of one run of the command."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json

    def result(self, text: str) -> None:
        """The result of the command, as text."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def document(self, value: Any) -> None:
        """The result of the command, as one JSON object."""
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
        # JSON itself escapes only the first 32; what is left can only be inside strings, where an escape is the same
        self.result("".join(json.dumps(char)[1:-1] if _controls(char) and char != "\n" else char for char in text))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """The result of the command, as aligned columns below a header."""
        self.result("\n".join(aligned([headers, *rows])))

    def note(self, text: str) -> None:
        """What the command is doing."""
        if not self.quiet and not self.as_json:
            self._line(text)

    def urgent(self, text: str) -> None:
        """A note that is written even with ``--quiet`` and ``--json``."""
        self._line(text)

    def error(self, error: EpaasError) -> None:
        """Why the command failed, and what to do about it."""
        if self.as_json:
            document = Problem.of(error).model_dump(mode="json") | {"retry_after": error.retry_after}
            sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
            return
        self._line(f"error: {error}")
        if error.hint:
            self._line(f"hint: {error.hint}")
        if error.retry_after is not None:
            self._line(f"hint: try again in {duration(error.retry_after)}")

    def ask(self, question: str) -> bool:
        """A yes or no on the terminal; anything but yes is no."""
        sys.stderr.write(f"epaas: {clean(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def upload(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """Progress of an upload in bytes."""
        with self._progress(title, "bytes") as update:
            yield lambda done, total: update(done, total, None)

    @contextmanager
    def evaluation(self, title: str) -> Iterator[ProgressUpdate]:
        """Progress of an evaluation in bootstraps, with the time left."""
        with self._progress(title, "bootstraps") as update:
            yield update

    @contextmanager
    def _progress(self, title: str, unit: str) -> Iterator[ProgressUpdate]:
        if self.quiet or self.as_json:
            yield lambda _done, _total, _left: None
        elif sys.stderr.isatty():
            with _bar(unit) as bar:
                task = bar.add_task(title, total=None, left="")
                yield lambda done, total, left: bar.update(task, completed=done, total=total, left=_left_text(left))
        else:
            yield _SparseLines(self._line, title, unit).update

    def _line(self, text: str) -> None:
        sys.stderr.write(f"epaas: {clean(text)}\n")
        sys.stderr.flush()


class _SparseLines:
    """A line at the start and at every tenth, for logs."""

    def __init__(self, write: Callable[[str], None], title: str, unit: str) -> None:
        self._write = write
        self._title = title
        self._unit = unit
        self._step = -1

    def update(self, done: int, total: int, left: float | None) -> None:
        step = _STEPS * done // total if total else 0
        if step != self._step:
            self._step = step
            rest = f", {_left_text(left)}" if left is not None else ""
            self._write(f"{self._title}: {done} of {total} {self._unit}{rest}")


def _bar(unit: str) -> Progress:
    # rich takes a tenth of a second to load, so it waits until there is a bar to draw.
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[str | ProgressColumn] = ["epaas: {task.description}", BarColumn()]
    if unit == "bytes":
        columns += [DownloadColumn(), TimeRemainingColumn()]
    else:
        columns += [MofNCompleteColumn(), unit, TextColumn("{task.fields[left]}")]
    return Progress(*columns, console=RichConsole(stderr=True), transient=True)


def _left_text(seconds: float | None) -> str:
    return f"about {duration(seconds)} left" if seconds is not None else ""


def clean(text: str) -> str:
    """``text`` on one line and without control characters, which could drive the terminal."""
    return "".join(" " if _controls(char) else char for char in text)


def aligned(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of columns, each as wide as its widest cell; all rows are as long as the first."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _controls(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")
