"""Attempts at runs whose videos have to reach scores: the best is kept, and published when no other is made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosmos_batch.dispatch.contract import Slot
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.output.directory import folder_errors, output_of
from cosmos_batch.dispatch.output.kept_video import (
    KeptVideo,
    add_scores,
    as_published,
    find_kept,
    keep,
    keep_published,
    published_tries,
    record_tries,
    unscored,
)
from cosmos_batch.dispatch.output.provenance import check_published, request_key
from cosmos_batch.errors import OutputError
from cosmos_batch.run import ResolvedRun, first_try, nth_try
from cosmos_batch.score_names import scorers_of
from cosmos_batch.scoring.acceptance import Tries, Try


class RunTries:
    """The attempts at runs with a rule. Main thread only. Raises StorageError."""

    def __init__(self, context: DispatchContext) -> None:
        self._context = context

    def begin(self, run: ResolvedRun, known: int) -> Tries | None:
        """Compare what is kept of a claimed run with the `known` attempts of the ledger.

        None: the attempt is made as it was planned. Otherwise the run stands as the attempts say: an earlier
        process kept one and ended, or the run was planned with another seed, or its rule has changed.
        """
        if run.acceptance is None:
            return None
        kept = self._kept(run) or (self._adopted(run) if not known else None)
        made = len(kept.tries.made) if kept else 0
        if made not in (known, known + 1):
            self.forget(run)
            kept, made = None, 0
        tries = kept.tries if kept else Tries(run.acceptance)
        as_planned = nth_try(run, made).sampling.seed == run.sampling.seed
        return None if made == known and as_planned and not tries.settled else tries

    def after(self, slot: Slot, made: Try) -> Tries | None:
        """The attempts at a run with the one that has ended now; None: it has no rule."""
        rule = slot.run.acceptance
        if rule is None:
            return None
        kept = self._kept(slot.run)
        return (kept.tries if kept else Tries(rule)).plus(made)

    def keep(self, slot: Slot, tries: Tries) -> None:
        """Keep the attempt that has ended now where it is the best, else what it gave."""
        with folder_errors(self._context.folder.root):
            if tries.best is tries.made[-1]:
                keep(slot.job.folder, self._parent(slot.run))
            elif kept := self._kept(slot.run):
                record_tries(kept.folder, tries)

    def best(self, run: ResolvedRun, tries: Tries) -> Path:
        """The files of the best attempt, with the verdict in run.json. Raises OutputError where they are gone."""
        kept = self._kept(run)
        if kept is None:
            raise OutputError(f"the kept video of {run.id} is gone")
        with folder_errors(self._context.folder.root):
            record_tries(kept.folder, tries)
        return kept.folder

    def forget(self, run: ResolvedRun) -> None:
        """Delete what is kept of a run."""
        if run.acceptance is not None:
            shutil.rmtree(self._parent(run), ignore_errors=True)

    def _kept(self, run: ResolvedRun) -> KeptVideo | None:
        assert run.acceptance is not None
        with folder_errors(self._context.folder.root):
            return find_kept(self._parent(run), run.acceptance)

    def _adopted(self, run: ResolvedRun) -> KeptVideo | None:
        """The published video of the same request as the first attempt: its rule is new, or another one."""
        context, published = self._context, self._context.folder.published(run.id)
        if published_tries(run, published) is None:
            return None
        try:
            check_published(published, request_key(as_published(run, published), context.identity, context.digest))
        except OutputError:
            return None
        with folder_errors(context.folder.root):
            keep_published(published, self._parent(run))
            kept = self._kept(run)
            if kept and (missing := unscored(run, kept.folder)):
                add_scores(kept.folder, self._measured(run, kept.folder, missing))
        return self._kept(run)

    def _measured(self, run: ResolvedRun, folder: Path, names: Sequence[str]) -> Mapping[str, float]:
        """The scores that a rule newly names, of a video that was made before."""
        context = self._context
        output = output_of(folder, run.sampling.num_frames)
        scores, warnings = context.scorers.measure(scorers_of(names), output, run)
        for warning in warnings:
            context.events.noted(f"{run.id}: {warning}")
        return scores

    def _parent(self, run: ResolvedRun) -> Path:
        key = request_key(first_try(run), self._context.identity, self._context.digest)
        return self._context.folder.kept(run.id, key)
