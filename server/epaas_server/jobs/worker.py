"""The worker: claims jobs, has its child do them, keeps the lease, records every finished layer.

    claim ──▶ child ──▶ heartbeat, checkpoint a layer ──▶ succeed | fail
                │           └─ a shorter job's turn: the job goes back to the queue, for a while
                └─ died: the job goes back to the queue and on from its last layer, at most ``max_attempts`` times

It evaluates nothing itself and never loads the runtime.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress

import structlog

from epaas_server.blobs import Blobs
from epaas_server.database import DATABASE_ERRORS, is_away
from epaas_server.engine.local import ChildDied, EvaluationChild
from epaas_server.engine.tasks import (
    Advanced,
    CheckKeys,
    Evaluate,
    Finished,
    LayerDone,
    Pause,
    Paused,
    Proceed,
    Refused,
    Step,
    Task,
)
from epaas_server.evaluation_keys import KeyStore
from epaas_server.jobs.job import Claim, JobKind
from epaas_server.jobs.patience import Patience
from epaas_server.jobs.presence import Announcer, WorkerFacts, WorkerPresence
from epaas_server.jobs.slot_child import SlotChild, child_configuration
from epaas_server.jobs.store import JobStore, LeaseLost
from epaas_server.observability.claims import ObservedClaim, observing
from epaas_server.registry import Registry
from epaas_server.settings import Settings
from epaas_shared import __version__
from epaas_shared.errors import (
    EpaasError,
    InvalidEvaluationKeys,
    PredictionFailed,
    PredictionNotFound,
    StorageFull,
    Unavailable,
    error_class,
)
from epaas_shared.profile import default_profile

_log = structlog.get_logger()
_START_PAUSE_SECONDS = 1.0
_WAIT_SECONDS = 5.0


class Worker:
    """One evaluation slot. ``run`` returns soon after ``stop`` is set, giving its job back."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        keys: KeyStore,
        registry: Registry,
        blobs: Blobs,
        presence: WorkerPresence,
    ) -> None:
        self.stop = threading.Event()
        self._patience = patience = Patience(self.stop)
        self._settings = settings
        self._queue = store
        self._store = patience.of(store)
        self._keys = patience.of(keys)
        self._registry = patience.of(registry)
        self._calibration = patience.of(registry.calibration)
        self._blobs = blobs
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        facts = WorkerFacts(
            release=__version__,
            engine=settings.engine,
            threads=settings.threads,
            memory_bytes=settings.slot_evaluation_bytes,
        )
        self._announcer = patience.of(Announcer(presence, self._name, facts))
        self._slot = SlotChild(child_configuration(settings))

    def run(self) -> None:
        _log.info("worker ready", worker=self._name, threads=self._settings.threads)
        try:
            while not self.stop.is_set():
                child = self._slot.ready()
                claim = self._claim() if child else None
                if child and claim:
                    self._announcer.say(job=claim.id)
                    self._work(claim, child)
                else:
                    self._announcer.say(job=None)
                    self.stop.wait(self._settings.poll_seconds if child else _START_PAUSE_SECONDS)
        except DATABASE_ERRORS as error:
            if not (self.stop.is_set() and is_away(error)):
                raise
        finally:
            self._slot.drop()
            with suppress(*DATABASE_ERRORS):
                self._announcer.leave()

    def _claim(self) -> Claim | None:
        return self._patience.when_settled(
            lambda: self._queue.claim(
                self._name,
                self._settings.lease_seconds,
                held_keys=self._slot.held_keys,
                memory_bytes=self._settings.slot_evaluation_bytes,
            )
        )

    def _work(self, claim: Claim, child: EvaluationChild) -> None:
        with observing(claim, self._name, self._announcer.tally) as observed:
            self._do(claim, child, observed)

    def _do(self, claim: Claim, child: EvaluationChild, observed: ObservedClaim) -> None:
        _log.info("job claimed", layers_done=claim.layers_done)
        try:
            if claim.attempts > self._settings.max_attempts:
                raise PredictionFailed(
                    f"the evaluation process died {self._settings.max_attempts} times",
                    hint="generate new keys and try again; if it happens again, tell the operator",
                )
            child.give(self._task(claim, observed))
            self._follow(claim, child, observed)
            _log.info("job finished")
        except LeaseLost:
            _log.info("job is no longer ours")
            self._slot.drop()
            self._tidy_unwanted(claim)
        except ChildDied as death:
            _log.warning("the evaluation child died", reason=str(death))
            observed.child_died()
            self._slot.drop()
            self._after_death(claim, observed)
        except StorageFull as full:
            _log.error("the disk is full; the job waits", detail=full.detail)
            self._give_back(claim, counts_as_attempt=False)
            self.stop.wait(_WAIT_SECONDS)
        except Unavailable as away:
            _log.error("something that the job needs is away; the job waits", detail=away.detail)
            self._give_back(claim, counts_as_attempt=False)
            self.stop.wait(_WAIT_SECONDS)
        except EpaasError as error:
            _log.info("job failed", code=error.code, detail=error.detail)
            self._settle(claim, error, observed)

    def _task(self, claim: Claim, observed: ObservedClaim) -> Task:
        keys_blob = self._keys.usable(claim.evaluation_keys, claim.tenant)
        self._slot.given(keys_blob, claim.evaluation_keys)
        if claim.kind is JobKind.CHECK_KEYS:
            return CheckKeys(
                evaluation_keys=claim.evaluation_keys,
                keys_blob=keys_blob,
                calibrate=self._calibration.of(default_profile().digest) is None,
                ids=observed.ids,
            )
        assert claim.model_digest is not None
        assert claim.record_blob is not None
        assert claim.plan is not None
        return Evaluate(
            evaluation_keys=claim.evaluation_keys,
            keys_blob=keys_blob,
            bundle=self._registry.bundle_folder(claim.model_digest),
            plan=claim.plan,
            record_blob=claim.record_blob,
            layers_done=claim.layers_done,
            checkpoint_blob=claim.checkpoint_blob,
            output=f"jobs/{claim.id}/{claim.fence}",
            ids=observed.ids,
        )

    def _follow(self, claim: Claim, child: EvaluationChild, observed: ObservedClaim) -> None:
        """Hear the child out. Raises what it refuses, :class:`ChildDied` and :class:`LeaseLost`."""
        done = _bootstraps_at_start(claim)
        seconds = 0.0
        last_beat = last_word = time.monotonic()
        while True:
            message = child.hear(self._settings.heartbeat_seconds)
            if message is not None:
                last_word = time.monotonic()
            elif time.monotonic() - last_word > self._settings.stall_seconds:
                raise ChildDied(f"it said nothing for {self._settings.stall_seconds:g} seconds")
            match message:
                case Advanced(bootstraps):
                    done += bootstraps
                    observed.advanced(bootstraps)
                case Step():
                    observed.step(message)
                case LayerDone(layers_done, blob, layer_seconds):
                    seconds += layer_seconds
                    self._store.checkpoint(claim, layers_done, blob, done, layer_seconds)
                    more = claim.plan is not None and layers_done < len(claim.plan.layers)
                    pause = more and self._store.should_pause(claim, self._settings.slot_evaluation_bytes)
                    child.give(Pause() if pause else Proceed())
                case Paused(held_keys):
                    self._remember(held_keys)
                    self._store.release(claim, counts_as_attempt=False)
                    return
                case Finished():
                    self._remember(message.held_keys)
                    observed.finished(keys_were_held=message.keys_were_held)
                    self._learn(claim, message, seconds + message.seconds)
                    self._settle(claim, message, observed)
                    return
                case Refused(code, detail, field, hint):
                    raise error_class(code)(detail, field=field, hint=hint)
                case _:
                    pass
            if time.monotonic() - last_beat >= self._settings.heartbeat_seconds:
                self._store.heartbeat(claim, self._settings.lease_seconds, done)
                self._announcer.say()
                last_beat = time.monotonic()
            if self.stop.is_set():
                self._slot.drop()
                self._store.release(claim, counts_as_attempt=False)
                raise LeaseLost(claim.id)

    def _remember(self, keys_blobs: tuple[str, ...]) -> None:
        self._slot.holds(keys_blobs)
        self._announcer.say(held_keysets=len(keys_blobs))

    def _learn(self, claim: Claim, finished: Finished, seconds: float) -> None:
        """What an evaluation, or the trial run of keys, says of this machine's speed."""
        profile = default_profile().digest
        if finished.rates is not None:
            self._calibration.measured(profile, finished.rates)
        elif claim.plan is not None and claim.model_digest is not None and claim.layers_done == 0:
            cost = self._registry.cost(claim.model_digest, claim.plan)
            if cost is not None:
                self._calibration.observed(profile, cost, claim.records, seconds)

    def _settle(self, claim: Claim, outcome: Finished | EpaasError, observed: ObservedClaim) -> None:
        """Record the outcome, once; what the evaluation left behind goes."""
        error = outcome if isinstance(outcome, EpaasError) else None
        kept = outcome.result_blob if isinstance(outcome, Finished) else None
        try:
            if claim.kind is JobKind.CHECK_KEYS:
                self._keys.settle(claim.evaluation_keys, error, claim.tenant)
            if isinstance(outcome, Finished):
                self._store.succeed(claim, outcome.result_blob, outcome.seconds, self._settings.threads)
                if claim.kind is JobKind.PREDICT:
                    observed.succeeded(self._store.get(claim.id, claim.tenant))
            else:
                self._store.fail(claim, outcome)
                observed.failed(outcome.code)
        except (LeaseLost, PredictionNotFound):  # it is another's by now, or cancelled or erased
            self._tidy_unwanted(claim)
            return
        if claim.kind is JobKind.PREDICT:
            self._tidy(claim, kept)

    def _tidy_unwanted(self, claim: Claim) -> None:
        """The child may have written after the blobs of a job that was cancelled or erased were removed."""
        if not self._store.is_wanted(claim):
            self._tidy(claim, None)

    def _tidy(self, claim: Claim, kept: str | None) -> None:
        """Remove what the evaluation left behind; where the store is away, it stays for who looks for such things."""
        try:
            self._blobs.keep_only(f"jobs/{claim.id}", kept)
        except Unavailable as away:
            _log.warning("blobs of a job are left behind", job=claim.id, detail=away.detail)

    def _after_death(self, claim: Claim, observed: ObservedClaim) -> None:
        """Keys that kill the child in their trial run are refused; a prediction is tried again."""
        if claim.kind is JobKind.CHECK_KEYS and claim.attempts >= 2:
            error = InvalidEvaluationKeys("the trial run with these keys crashed", field="keyset")
            self._settle(claim, error, observed)
            return
        self._give_back(claim, counts_as_attempt=True)

    def _give_back(self, claim: Claim, *, counts_as_attempt: bool) -> None:
        with suppress(LeaseLost):
            self._store.release(claim, counts_as_attempt=counts_as_attempt)


def _bootstraps_at_start(claim: Claim) -> int:
    """What the finished layers have done already."""
    if claim.plan is None:
        return 0
    return claim.records * sum(layer.bootstraps for layer in claim.plan.layers[: claim.layers_done])
