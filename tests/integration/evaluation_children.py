"""Evaluation children that a test drives as a worker does: tasks in, messages and checkpoints out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from epaas_server.blobs import FolderBlobs
from epaas_server.bundles import read_bundle
from epaas_server.engine.child import ChildConfiguration
from epaas_server.engine.local import EvaluationChild
from epaas_server.engine.tasks import (
    Advanced,
    CheckKeys,
    Evaluate,
    Finished,
    LayerDone,
    Message,
    Pause,
    Paused,
    Proceed,
    Refused,
    Task,
)
from epaas_server.plan import make_plan
from epaas_shared.network import Network
from epaas_shared.schema import InputSchema
from tests.conftest import ClientKeys, write_bundle

PATIENCE = 200.0


def start_logged(configuration: ChildConfiguration, log_file: Path) -> EvaluationChild:
    """An evaluation child whose log is in a file of its own."""
    stderr = os.dup(2)
    with log_file.open("wb") as log:
        os.dup2(log.fileno(), 2)
        try:
            return EvaluationChild(configuration)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@dataclass
class Child:
    """An evaluation child, and the lines of its log."""

    blobs: FolderBlobs
    folder: Path
    keys: ClientKeys
    schema: InputSchema
    process: EvaluationChild
    log_file: Path
    tasks: int = 0
    on_advance: Callable[[], None] = field(default=lambda: None)

    def do(self, task: Task, *, pause: bool = False) -> list[Message]:
        """What the child tells of a task. It proceeds after every layer, or pauses after the first."""
        self.process.give(task)
        told: list[Message] = []
        while not told or not isinstance(told[-1], Finished | Refused | Paused):
            message = self.process.hear(PATIENCE)
            assert message is not None, "nothing is heard"
            told.append(message)
            if isinstance(message, LayerDone):
                self.process.give(Pause() if pause else Proceed())
            if isinstance(message, Advanced):
                self.on_advance()
        return told

    def check_keys(self, digest: str | None = None) -> Message:
        digest = digest or self.keys.digest
        return self.do(CheckKeys(digest, f"keys/{digest}", calibrate=False))[-1]

    def task(
        self, network: Network, strategies: Sequence[str], *, done: int = 0, checkpoint: str | None = None
    ) -> Evaluate:
        self.tasks += 1
        bundle = self.folder / f"bundle-{self.tasks}"
        write_bundle(bundle, network, self.schema)
        plan = make_plan(read_bundle(bundle), strategies)
        digest = self.keys.digest
        output = f"jobs/one/{self.log_file.stem}-{self.tasks}"
        return Evaluate(digest, f"keys/{digest}", bundle, plan, "jobs/one/record", done, checkpoint, output)

    def layers(self, told: list[Message]) -> list[list[int]]:
        """The bits of every layer's outputs."""
        blobs = [self.blobs.read(message.blob) for message in told if isinstance(message, LayerDone)]
        return [self.keys.secret.decrypt_messages(blob).tolist() for blob in blobs]

    def values(self, told: list[Message]) -> list[list[int]]:
        finished = told[-1]
        assert isinstance(finished, Finished), finished
        assert finished.result_blob is not None
        values: list[list[int]] = self.keys.secret.decrypt_result(self.blobs.read(finished.result_blob))[0].tolist()
        return values

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of this event. All that the child writes to stderr are such lines."""
        lines = [line for line in self.log_file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in map(json.loads, lines) if line["event"] == event]
