"""`cosmos-batch prompts`: captions of clips and their variations, by a model, into a file for review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from cosmos_batch.cli.render.console import print_error, print_problems
from cosmos_batch.cli.render.text import plural, safe
from cosmos_batch.engines.registry import cache_folder
from cosmos_batch.errors import InputError, MediaError, Problem
from cosmos_batch.formats.problems import Location, printable
from cosmos_batch.prompting.answer_cache import AnswerCache
from cosmos_batch.prompting.clips import Clip, clip_of
from cosmos_batch.prompting.endpoint import ChatEndpoint
from cosmos_batch.prompting.prompt_file import read_prompts, write_prompts
from cosmos_batch.prompting.prompt_request import PromptRequest, given_instructions, read_request
from cosmos_batch.prompting.writing import PromptOutcome, PromptWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """Options of `cosmos-batch prompts`."""

    endpoint: str  # address of the server, up to /v1
    model: str | None  # None: the only model of the server
    key: str | None
    output: Path
    instructions: Sequence[str]  # NAME=TEXT, in addition to those of the files
    json_captions: bool  # for Cosmos 3, whatever the files say
    frames: int | None  # of each clip; None: as the files say
    parallel: int  # requests at a time
    replace: bool  # make the file anew
    skip_invalid: bool


def prompts_command(files: Sequence[Path], options: PromptOptions) -> int:
    """Write the prompts of the clips of files; returns the exit code. Raises CosmosBatchError."""
    request, clips, problems = _requested(files, options)
    if options.output.is_dir() or not options.output.absolute().parent.is_dir():
        message, remedy = "is no file in a folder that exists", "name another, or make its folder first"
        problems.append(Location().problem("--output", message, remedy, str(options.output)))
        clips = []
    kept = [] if options.replace or not clips else read_prompts(options.output)
    if print_problems(problems) and not (options.skip_invalid and clips):
        print_error("nothing was asked; correct the input, or use the valid clips alone with --skip-invalid")
        return 2
    cache = AnswerCache(cache_folder() / "prompts")
    with ChatEndpoint(options.endpoint, options.model, options.key) as model:
        writer = PromptWriter(request, model, cache, kept, parallel=options.parallel)
        if conflicts := writer.conflicts(clips, printable(str(options.output))):
            raise InputError(conflicts)
        with Progress(console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("prompts", total=len(clips) * (1 + len(request.instructions)))
            outcome = writer.write(clips, lambda count: shown.advance(task, count))
    write_prompts(options.output, outcome.prompts)
    return _reported(outcome, len(kept), request, options)


def _requested(files: Sequence[Path], options: PromptOptions) -> tuple[PromptRequest, list[Clip], list[Problem]]:
    """The request of files and options, its clips, and all problems."""
    request, problems = read_request(files)
    own = given_instructions(options.instructions, request.instructions)
    request = replace(
        request,
        instructions=(*request.instructions, *own),
        style="json" if options.json_captions else request.style,
        frames=options.frames or request.frames,
    )
    clips = []
    for video in request.videos:
        try:
            clips.append(clip_of(video))
        except MediaError as error:
            location = request.locations[video]
            problems.append(Problem(location.file, location.line, "", "", str(error), ""))
    return request, clips, problems


def _reported(outcome: PromptOutcome, kept: int, request: PromptRequest, options: PromptOptions) -> int:
    """Print what was written and what failed; returns the exit code."""
    print_problems(
        Problem(
            request.locations[video].file, request.locations[video].line, "", "", f"{video}: {name}: {cause}", ""
        )
        for (video, name), cause in outcome.failures.items()
    )
    made = len(outcome.prompts) - kept
    parts = [f"{plural(made, 'prompt')} written to {safe(str(options.output))}"]
    parts += [f"{outcome.asked} by the model now"] if outcome.asked < made else []
    parts += [f"{kept} kept as they were"] if kept else []
    print(", ".join(parts))
    if outcome.stopped:
        print_error(f"{outcome.stopped}; the same command asks what is missing")
    return 1 if outcome.failures or outcome.stopped else 0
