"""What an evaluation child does of a task: checkpoint after checkpoint, and a result that only the client can read.

It reads blobs and bundles and writes blobs. Where layers are evaluated is the engine's matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

import numpy as np

from epaas_server.blobs import Blobs
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.engine.engine import Engine
from epaas_server.engine.evaluate import combine
from epaas_server.engine.keys import StoredKeys
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.rerandomise import rerandomise
from epaas_server.engine.tasks import (
    Advanced,
    CheckKeys,
    Evaluate,
    Finished,
    LayerDone,
    Message,
    Pause,
    Paused,
    Refused,
    Step,
    Task,
    Word,
)
from epaas_shared.errors import EpaasError, InvalidCiphertext, InvalidEvaluationKeys, PredictionFailed
from epaas_shared.frame import SEEDED_BYTES, RecordHeader, ResultHeader, decode_frame, encode_frame
from epaas_shared.profile import default_profile
from epaas_shared.zerokey import Torus, ZeroKey


class Evaluator:
    """Does tasks: ``tell`` takes how they go, ``hear`` gives the worker's word after every layer."""

    def __init__(self, engine: Engine, blobs: Blobs, tell: Callable[[Message], None], hear: Callable[[], Word]) -> None:
        self._engine = engine
        self._blobs = blobs
        self._tell = tell
        self._hear = hear

    def run(self, task: Task) -> None:
        """Do a task and tell how it goes."""
        try:
            if isinstance(task, CheckKeys):
                self._check_keys(task)
            else:
                self._evaluate(task)
        except EpaasError as error:
            self._refuse(error)
        except FileNotFoundError:  # a record or checkpoint: erased just now, or not in the backup that was restored
            self._refuse(PredictionFailed("what was sent is not kept here any more", hint="ask for it again"))
        except (RuntimeError, MemoryError) as error:  # what the runtime raises; anything worse ends this process
            words = str(error)[:200] or type(error).__name__
            if isinstance(task, CheckKeys):
                self._refuse(InvalidEvaluationKeys(f"the trial run with these keys failed: {words}", field="keyset"))
            else:
                self._refuse(PredictionFailed(f"the evaluation failed: {words}"))

    def _refuse(self, error: EpaasError) -> None:
        self._tell(Refused(error.code, error.detail, error.field, error.hint))

    def _check_keys(self, task: CheckKeys) -> None:
        begin = time.perf_counter()
        rates = self._engine.check_keys(_stored(task), calibrate=task.calibrate)
        self._tell(Finished(None, time.perf_counter() - begin, self._held_keys, keys_were_held=False, rates=rates))

    @property
    def _held_keys(self) -> tuple[str, ...]:
        return tuple(stored.blob for stored in self._engine.held_keys)

    def _evaluate(self, task: Evaluate) -> None:
        begin = time.perf_counter()
        bundle = read_bundle(task.bundle)
        header, payload = decode_frame(self._blobs.read(task.record_blob), RecordHeader)
        _check_record(header, payload, bundle)
        stored = _stored(task)
        keys_were_held = stored in self._engine.held_keys
        with nullcontext() if keys_were_held else self._step("keyset load"):
            zero_key = self._engine.zero_key(stored)

        network = bundle.network
        layers = network.evaluated_layers
        if task.checkpoint_blob is None:
            bits = expand_seeded(payload, bundle.profile).reshape(header.records, header.bits, -1)
        else:
            with self._blobs.open(task.checkpoint_blob) as file:
                bits = _outputs(file, header.records, layers[task.layers_done - 1].outputs)
        for index in range(task.layers_done, len(layers)):
            blob = f"{task.output}-layer-{index + 1}"
            with self._step("layer", index + 1), self._blobs.writer() as writer:
                plan = task.plan.layers[index]
                for block in self._engine.evaluate_layer(layers[index], plan, bits, stored, self._advance):
                    writer.write(block.astype("<u8", copy=False).tobytes())
                writer.commit(blob)
                bits = _outputs(writer.file, header.records, layers[index].outputs)
            now = time.perf_counter()
            self._tell(LayerDone(index + 1, blob, now - begin))
            if self._hear() == Pause():
                self._tell(Paused(self._held_keys))
                return
            begin = time.perf_counter()

        with self._step("result"):
            result_blob = self._put_result(task, bundle, combine(network.head, bits), zero_key)
        self._tell(Finished(result_blob, time.perf_counter() - begin, self._held_keys, keys_were_held))

    def _put_result(self, task: Evaluate, bundle: Bundle, values: Torus, zero_key: ZeroKey) -> str:
        """The blob of the result frame of these values, (records, values, words)."""
        results = rerandomise(values, zero_key, bundle.profile).astype("<u8").tobytes()
        result = ResultHeader(
            payload_bytes=len(results),
            profile=bundle.profile.digest,
            evaluation_keys=task.evaluation_keys,
            model=bundle.digest,
            records=len(values),
            values=bundle.network.values,
            scores=bundle.network.scores,
        )
        result_blob = f"{task.output}-result"
        self._blobs.put(result_blob, encode_frame(result, results))
        return result_blob

    @contextmanager
    def _step(self, name: str, layer: int | None = None) -> Iterator[None]:
        """Tell when this began and ended, if it ends well."""
        began = time.time_ns()
        yield
        self._tell(Step(name, began, time.time_ns(), layer))

    def _advance(self, bootstraps: int) -> None:
        self._tell(Advanced(bootstraps))


def _outputs(file: BinaryIO, records: int, outputs: int) -> Torus:
    """The output bits of a finished layer, (records, outputs, words), mapped from their file: they may be many."""
    shape = (records, outputs, default_profile().ciphertext_words)
    return np.memmap(file, dtype="<u8", mode="r", shape=shape)


def _stored(task: Task) -> StoredKeys:
    return StoredKeys(task.keys_blob, task.evaluation_keys)


def _check_record(header: RecordHeader, payload: bytes, bundle: Bundle) -> None:
    if header.input_schema != bundle.schema.digest or header.bits != bundle.schema.bits:
        raise InvalidCiphertext("the record is of another task than the model", field="body.input_schema")
    if len(payload) != header.records * header.bits * SEEDED_BYTES:
        raise InvalidCiphertext("the payload does not have the announced shape", field="body.payload_bytes")
