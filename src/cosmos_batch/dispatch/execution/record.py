"""Record of an attempt that succeeded: run.json in its folder, and the scores of its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cosmos_batch.dispatch.contract import Slot
from cosmos_batch.dispatch.execution.context import DispatchContext
from cosmos_batch.dispatch.output.directory import folder_errors, output_of
from cosmos_batch.dispatch.output.provenance import AttemptInfo, describe, write_description
from cosmos_batch.engines.base import Job
from cosmos_batch.errors import MediaError
from cosmos_batch.planning.traits import Shape
from cosmos_batch.run import ResolvedRun
from cosmos_batch.score_names import scorers_of
from cosmos_batch.scoring.acceptance import Tries
from cosmos_batch.scoring.scores import VideoScores


def inspect_output(slot: Slot, context: DispatchContext) -> VideoScores:
    """Open a run's output, measure its inputs, and score it. Raises OutputError where it does not hold.

    Any thread may call it.
    """
    shape = context.shape(slot.run)
    context.check(slot.run, shape, slot.job)
    context.sizes(slot.run, slot.inputs)
    scores = score_output(slot.run, shape, slot.job)
    rule = () if slot.run.acceptance is None else slot.run.acceptance.scores
    wanted = dict.fromkeys([*context.settings.scorers, *scorers_of(rule)])
    if not wanted:
        return scores
    more, warnings = context.scorers.measure(wanted, output_of(slot.job.folder, shape.frames), slot.run)
    for warning in warnings:
        context.events.noted(f"{slot.run_id}: {warning}")
    return replace(scores, values={**scores.values, **more}, warnings=warnings)


def score_output(run: ResolvedRun, shape: Shape, job: Job) -> VideoScores:
    """Score a verified output; without scores, and with the reason, where its input cannot be read any more."""
    from cosmos_batch.scoring.video_scores import score_video

    output = output_of(job.folder, shape.frames)
    if not output.exists():
        return VideoScores(problem=f"{output.name} is missing")
    try:
        return score_video(run, output, shape.frames)
    except MediaError as error:
        return VideoScores(problem=str(error))


def write_record(
    slot: Slot,
    context: DispatchContext,
    company: Sequence[str],
    guardrail: tuple[str, ...],
    scores: VideoScores,
    tries: Tries | None = None,
) -> None:
    """Write run.json into the folder of an attempt that ends now. Raises StorageError.

    `company`: ids of all runs of its batch; `guardrail`: what the guardrail checked; `tries`: all attempts so far
    at a run that has to reach scores.
    """
    info = AttemptInfo(
        attempt=slot.attempt,
        batch=slot.batch,
        batch_runs=tuple(company),
        started=slot.started,
        ended=context.clock(),
        resumed=slot.resumed,
        inputs=slot.inputs,
        sizes=context.sizes(slot.run, slot.inputs),
        guardrail=guardrail,
        scores=scores,
        tries=tries,
    )
    with folder_errors(context.folder.root):
        made = describe(slot.run, slot.job.folder, context.identity, info)
        write_description(slot.job.folder, made)
