"""Prompts for clips: captions first, then the variations of each, from the file, the cache or a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Protocol

from cosmos_batch.errors import MediaError, Problem, StorageError
from cosmos_batch.formats.problems import Location
from cosmos_batch.prompting.answer_cache import Answer, AnswerCache, key_of, now
from cosmos_batch.prompting.clips import Clip, pictures
from cosmos_batch.prompting.endpoint import EndpointError, RequestError
from cosmos_batch.prompting.messages import (
    AnswerError,
    Message,
    caption_messages,
    prompt_of,
    variation_messages,
)
from cosmos_batch.prompting.prompt_file import WrittenPrompt
from cosmos_batch.prompting.prompt_request import CAPTION, Instruction, PromptRequest
from cosmos_batch.spans import split_span

TRIES = 3  # of a question whose answer is no prompt
VERSION = 1  # of the built-in questions; raised when one changes, so that the cache is asked anew

Place = tuple[str, str]
"""A video, and the name of one of its prompts."""


class ChatModel(Protocol):
    """A source of answers."""

    @property
    def url(self) -> str:
        """Its address, without secrets."""

    @property
    def model(self) -> str:
        """Its name on the server."""

    def ask(self, messages: Sequence[Message]) -> str:
        """The text of its answer. Raises RequestError, AnswerError and EndpointError."""

    def stop(self) -> None:
        """End all waits."""


@dataclass(slots=True)
class PromptOutcome:
    """The prompts of a request, and what there is none for."""

    prompts: list[WrittenPrompt] = field(default_factory=list)  # those of the file, then the new ones
    failures: dict[Place, str] = field(default_factory=dict)  # causes
    asked: int = 0  # answers that the model gave now; the others were kept from earlier
    stopped: str = ""  # why no more was asked; "": everything was


@dataclass(frozen=True, slots=True)
class _Question:
    """A question about a clip, and its digest."""

    key: str  # equal keys, equal answers
    messages: Callable[[], Sequence[Message]]  # raises MediaError


class PromptWriter:
    """Writes the prompts of a request with one model; prompts of an earlier call are kept as they are."""

    def __init__(
        self,
        request: PromptRequest,
        model: ChatModel,
        cache: AnswerCache,
        kept: Sequence[WrittenPrompt] = (),
        *,
        parallel: int = 4,
    ) -> None:
        self._request = request
        self._model = model
        self._cache = cache
        self._kept = {prompt.place: prompt for prompt in kept}
        self._parallel = parallel
        self._outcome = PromptOutcome(list(kept))

    def conflicts(self, clips: Sequence[Clip], file: str) -> list[Problem]:
        """Problems of kept prompts, of a file, that were made from something else than what is requested."""
        problems = []
        for clip in clips:
            for instruction in (None, *self._request.instructions):
                name = _name(instruction)
                kept = self._kept.get((clip.path, name))
                wanted = self._prompt(clip, instruction, "", Answer("", "", self._model.model, ""))
                for part in [key for key, value in wanted.origin.items() if kept and kept.origin[key] != value]:
                    message = f"is another one than that of prompt {name} of {clip.path} in the file"
                    remedy = "write to another file with -o, or write the file anew with --replace"
                    problems.append(Location(file).problem(part, message, remedy, wanted.origin[part]))
        return problems

    def write(self, clips: Sequence[Clip], advance: Callable[[int], None] = lambda _: None) -> PromptOutcome:
        """Caption each clip, and vary each caption by each instruction.

        Every answer is kept on disk at once, so that a call after a kill asks only what is missing. A question
        that fails costs its own prompts alone; a server that is of no use ends the rest. `advance` gets the
        number of prompts that are settled since its last call. Raises StorageError.
        """
        captions = self._answers({(clip.path, CAPTION): self._caption(clip) for clip in clips}, advance)
        texts: dict[str, str] = {}
        for clip in clips:
            place = (clip.path, CAPTION)
            if place in self._kept:
                texts[clip.path] = self._kept[place].prompt  # as it was edited
            elif place in captions:
                texts[clip.path] = captions[place].text
        pairs = [(clip, each) for clip in clips if clip.path in texts for each in self._request.instructions]
        questions = {(clip.path, each.name): self._variation(texts[clip.path], each) for clip, each in pairs}
        answers = captions | (self._answers(questions, advance) if not self._outcome.stopped else {})
        for clip in clips:
            for instruction in (None, *self._request.instructions):
                answer = answers.get((clip.path, _name(instruction)))
                if answer is not None:
                    made = self._prompt(clip, instruction, texts[clip.path], answer)
                    self._outcome.prompts.append(made)
        return self._outcome

    def _answers(
        self, questions: Mapping[Place, _Question], advance: Callable[[int], None]
    ) -> dict[Place, Answer]:
        """The answers to the questions about places that the file has no prompt for."""
        places: dict[str, list[Place]] = {}  # equal questions are asked once
        for place, question in questions.items():
            if place not in self._kept:
                places.setdefault(question.key, []).append(place)
        advance(len(questions) - sum(map(len, places.values())))
        answers: dict[Place, Answer] = {}
        pool = ThreadPoolExecutor(self._parallel)
        waiting = {pool.submit(self._answer, questions[same[0]]): same for same in places.values()}
        try:
            for future in as_completed(waiting):
                same = waiting[future]
                try:
                    answer, asked = future.result()
                    answers |= dict.fromkeys(same, answer)
                    self._outcome.asked += asked
                except (RequestError, AnswerError, MediaError) as error:
                    if isinstance(error, StorageError):
                        raise
                    self._outcome.failures |= dict.fromkeys(same, str(error))
                except EndpointError:
                    self._model.stop()
                advance(len(same))
        except BaseException:
            self._model.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return answers

    def _answer(self, question: _Question) -> tuple[Answer, bool]:
        """The answer to a question, and whether the model gave it now."""
        if kept := self._cache.get(question.key):
            return kept, False
        if self._outcome.stopped:
            raise EndpointError(self._outcome.stopped)
        messages = question.messages()
        try:
            text = self._asked(messages)
        except EndpointError as error:  # noted in this thread, before it takes the next question
            self._outcome.stopped = self._outcome.stopped or str(error)
            raise
        answer = Answer(text, self._model.url, self._model.model, now())
        self._cache.put(question.key, answer)
        return answer, True

    def _asked(self, messages: Sequence[Message], tries: int = TRIES) -> str:
        """A prompt by the model; an answer that is none is asked again. Raises as `ChatModel.ask` does."""
        try:
            return prompt_of(self._model.ask(messages), self._request.style)
        except AnswerError as error:
            if tries == 1:
                raise AnswerError(f"{error} ({TRIES} answers of {self._model.model})") from error
            return self._asked(messages, tries - 1)

    def _caption(self, clip: Clip) -> _Question:
        wanted = self._request
        span = split_span(clip.path)[1]
        parts = (clip.sha256, wanted.frames, wanted.question, *([span.text] if span else []))
        return _Question(
            key_of(VERSION, "caption", self._model.model, wanted.style, *parts),
            lambda: caption_messages(pictures(clip, wanted.frames), wanted.style, wanted.question),
        )

    def _variation(self, caption: str, instruction: Instruction) -> _Question:
        style = self._request.style
        return _Question(
            key_of(VERSION, "variation", self._model.model, style, caption, instruction.text),
            lambda: variation_messages(caption, instruction.text, style),
        )

    def _prompt(self, clip: Clip, instruction: Instruction | None, caption: str, answer: Answer) -> WrittenPrompt:
        return WrittenPrompt(
            video=clip.path,
            prompt_name=_name(instruction),
            prompt=answer.text,
            instruction=instruction.text if instruction else None,
            caption=caption,
            video_sha256=clip.sha256,
            frames=self._request.frames,
            style=self._request.style,
            question=self._request.question,
            endpoint=answer.endpoint,
            model=answer.model,
            made_at=answer.made_at,
        )


def _name(instruction: Instruction | None) -> str:
    return instruction.name if instruction else CAPTION
