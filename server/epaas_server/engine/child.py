"""The evaluation child: a process that holds circuits and keysets, does a task at a time, and may be killed.

It reads blobs and bundles and writes blobs; it knows no database and no network. A crash in native code ends this
process and nothing else.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from epaas_server.blobs import Blobs
from epaas_server.bundles import Bundle, read_bundle
from epaas_server.circuits.definitions import CIRCUITS, Circuit
from epaas_server.engine.batches import Batched
from epaas_server.engine.calibrate import measure_rates
from epaas_server.engine.evaluate import combine, evaluate_layer
from epaas_server.engine.keyset_cache import KeysetCache
from epaas_server.engine.levelled import expand_seeded
from epaas_server.engine.rerandomise import rerandomise
from epaas_server.engine.tasks import Advanced, CheckKeys, Evaluate, Finished, LayerDone, Message, Ready, Refused, Task
from epaas_server.evaluation_keys import blob_name, check_start
from epaas_shared.digest import digest_bytes
from epaas_shared.errors import (
    DigestMismatch,
    EpaasError,
    EvaluationKeysNotFound,
    InvalidCiphertext,
    InvalidEvaluationKeys,
    PredictionFailed,
)
from epaas_shared.frame import (
    SEEDED_BYTES,
    EvaluationKeysHeader,
    RecordHeader,
    ResultHeader,
    decode_frame,
    decode_frame_start,
    encode_frame,
)
from epaas_shared.profile import Profile, default_profile
from epaas_shared.zerokey import Torus, ZeroKey


@dataclass(frozen=True)
class ChildConfiguration:
    circuits: Path
    blobs: Path
    threads: int
    keyset_cache_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class ClientKeys:
    """One client's evaluation keys, in memory."""

    keyset: Any
    zero_key: ZeroKey


def main(pipe: Connection, configuration: ChildConfiguration) -> None:
    """Entry point of the process. Serves tasks from ``pipe`` until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the server's business
    os.environ["OMP_NUM_THREADS"] = str(configuration.threads)  # read when the runtime is loaded
    _die_with_parent()
    evaluator = Evaluator(configuration, pipe.send)
    _limit_memory(configuration.memory_bytes)
    pipe.send(Ready())
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        evaluator.run(task)


class Evaluator:
    def __init__(self, configuration: ChildConfiguration, tell: Callable[[Message], None]) -> None:
        from epaas_server.engine.runtime import Circuits, load_keyset  # after OMP_NUM_THREADS is set

        self._load_keyset = load_keyset
        self._profile = default_profile()
        self._circuits = Circuits(configuration.circuits, self._profile)
        self._blobs = Blobs(configuration.blobs)
        self._keys = KeysetCache(configuration.keyset_cache_bytes, self._load_keys)
        self._tell = tell
        self._threads = configuration.threads

    def run(self, task: Task) -> None:
        """Do a task and tell how it goes."""
        try:
            if isinstance(task, CheckKeys):
                self._check_keys(task)
            else:
                self._evaluate(task)
        except EpaasError as error:
            self._refuse(error)
        except (RuntimeError, MemoryError) as error:  # what the runtime raises; anything worse ends this process
            words = str(error)[:200] or type(error).__name__
            if isinstance(task, CheckKeys):
                self._refuse(InvalidEvaluationKeys(f"the trial run with these keys failed: {words}", field="keyset"))
            else:
                self._refuse(PredictionFailed(f"the evaluation failed: {words}"))

    def _refuse(self, error: EpaasError) -> None:
        self._tell(Refused(error.code, error.detail, error.field, error.hint))

    def _check_keys(self, task: CheckKeys) -> None:
        """Run every circuit once on random ciphertexts, which also unpacks the keys for the first record."""
        begin = time.perf_counter()
        self._keys.discard(task.evaluation_keys)
        keys = self._keys.get(task.evaluation_keys)
        random = np.random.default_rng()
        for circuit in CIRCUITS:
            sums = random.integers(0, 2**64, (1, self._profile.ciphertext_words), dtype=np.uint64)
            self._circuits.bootstrap(circuit, sums, keys.keyset)
        rates = None
        if task.calibrate:
            rates = measure_rates(self._under(keys), keys.zero_key, self._profile, self._threads)
        self._tell(Finished(None, time.perf_counter() - begin, rates))

    def _under(self, keys: ClientKeys) -> Callable[[Circuit, Torus], Torus]:
        return lambda circuit, sums: self._circuits.bootstrap(circuit, sums, keys.keyset)

    def _evaluate(self, task: Evaluate) -> None:
        begin = time.perf_counter()
        bundle = read_bundle(task.bundle)
        header, payload = decode_frame(self._blobs.read(task.record_blob), RecordHeader)
        _check_record(header, payload, bundle)
        keys = self._keys.get(task.evaluation_keys)
        bootstrap = Batched(self._under(keys), lambda count: self._tell(Advanced(count)))

        network = bundle.network
        layers = network.evaluated_layers
        if task.checkpoint_blob is None:
            bits = expand_seeded(payload, bundle.profile).reshape(header.records, header.bits, -1)
        else:
            bits = self._outputs(task.checkpoint_blob, header.records, layers[task.layers_done - 1].outputs)
        for index in range(task.layers_done, len(layers)):
            blob = f"{task.output}-layer-{index + 1}"
            with self._blobs.writer() as writer:
                for block in evaluate_layer(layers[index], task.plan.layers[index], bits, bundle.profile, bootstrap):
                    writer.write(block.astype("<u8", copy=False).tobytes())
                writer.commit(blob)
            bits = self._outputs(blob, header.records, layers[index].outputs)
            now = time.perf_counter()
            self._tell(LayerDone(index + 1, blob, now - begin))
            begin = now

        results = rerandomise(combine(network.head, bits), keys.zero_key, bundle.profile).astype("<u8").tobytes()
        result = ResultHeader(
            payload_bytes=len(results),
            profile=bundle.profile.digest,
            evaluation_keys=task.evaluation_keys,
            model=bundle.digest,
            records=header.records,
            values=network.values,
            scores=network.scores,
        )
        result_blob = f"{task.output}-result"
        self._blobs.put(result_blob, encode_frame(result, results))
        self._tell(Finished(result_blob, time.perf_counter() - begin))

    def _outputs(self, blob: str, records: int, outputs: int) -> Torus:
        """The output bits of a finished layer, (records, outputs, words), mapped from their file: they may be many."""
        shape = (records, outputs, self._profile.ciphertext_words)
        return np.memmap(self._blobs.path(blob), dtype="<u8", mode="r", shape=shape)

    def _load_keys(self, digest: str) -> tuple[ClientKeys, int]:
        if not self._blobs.has(blob_name(digest)):
            raise EvaluationKeysNotFound("the evaluation keys were erased", field="evaluation_keys")
        data = self._blobs.read(blob_name(digest))
        if digest_bytes(data) != digest:
            raise DigestMismatch("the stored evaluation keys were damaged", field="evaluation_keys")
        check_start(decode_frame_start(data, EvaluationKeysHeader))
        header, payload = decode_frame(data, EvaluationKeysHeader)
        keyset = self._load_keyset(payload[: header.keyset_bytes])
        zero_key = ZeroKey.from_bytes(payload[header.keyset_bytes :], self._profile.lwe_dimension)
        return ClientKeys(keyset, zero_key), len(data) + unpacked_keys_bytes(self._profile)


def unpacked_keys_bytes(profile: Profile) -> int:
    """Bytes of a keyset's bootstrap and key-switching keys once the runtime has expanded their seeds."""
    words = 0
    for key in profile.keyset["lweBootstrapKeys"]:
        shape = key["params"]
        glwe = shape["glweDimension"] + 1
        words += shape["inputLweDimension"] * shape["levelCount"] * glwe * glwe * shape["polynomialSize"]
    for key in profile.keyset["lweKeyswitchKeys"]:
        shape = key["params"]
        words += shape["inputLweDimension"] * shape["levelCount"] * (shape["outputLweDimension"] + 1)
    return 8 * words


def _check_record(header: RecordHeader, payload: bytes, bundle: Bundle) -> None:
    if header.input_schema != bundle.schema.digest or header.bits != bundle.schema.bits:
        raise InvalidCiphertext("the record is of another task than the model", field="body.input_schema")
    if len(payload) != header.records * header.bits * SEEDED_BYTES:
        raise InvalidCiphertext("the payload does not have the announced shape", field="body.payload_bytes")


def _limit_memory(extra_bytes: int) -> None:
    """Bound this process's address space, so that damaged keys cannot take the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + extra_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _die_with_parent() -> None:
    """End with the worker, however it ends; evaluation releases the interpreter lock, so this thread runs meanwhile."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
