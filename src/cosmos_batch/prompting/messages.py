"""What a model is asked, and what counts as an answer.

The keys of a JSON caption are those of NVIDIA's sample prompts for Cosmos 3 (cookbooks/cosmos3/generator/transfer
of its repository `cosmos`); length, rate and size are added by Cosmos 3 itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from cosmos_batch.errors import CosmosBatchError
from cosmos_batch.formats.json_text import MalformedJsonError, parse_json, text_fault
from cosmos_batch.formats.problems import shown
from cosmos_batch.prompting.prompt_request import Style

Message = Mapping[str, object]
"""A message of the chat completions API."""

REQUIRED: Mapping[str, type] = {"subjects": list, "background_setting": str, "temporal_caption": str}
"""Keys that a JSON caption must have, with their types."""

_LONGEST = 100_000  # characters of a prompt
_KEYS = (
    "subjects (a list of objects with description, location, orientation, pose, action), background_setting, "
    "lighting (an object), aesthetics (an object), cinematography (an object with camera_motion and framing), "
    "style_medium, artistic_style, context, actions (a list), temporal_caption (the whole clip in order, as prose)"
)
_JSON = (
    f"Answer with one JSON object and nothing else. Its keys: {_KEYS}. All values are in English; "
    "leave out what the frames do not show."
)
_CAPTION = (
    "These are frames of one video clip, in order. Describe the clip for a model that makes videos from text: the "
    "scene and its layout, every object with its place and its motion, the camera and its motion, light, weather, "
    "materials and colours. Describe only what the frames show, in the present tense."
)
_CAPTION_TEXT = "Answer with one paragraph of 80 to 200 words and nothing else."
_VARIATION = (
    "Below is the description of a video clip. Rewrite it so that it fits this change: {instruction}\n"
    "Change only what the change affects: light, sky, surfaces, colours, what things wear or carry on them. Keep "
    "every object, its place and its motion, and the camera as they are.\n\nThe description:\n{caption}\n\n{form}"
)


class AnswerError(CosmosBatchError):
    """An answer of a model that is no prompt."""


def caption_messages(pictures: Sequence[str], style: Style, question: str) -> list[Message]:
    """The request for a caption of a clip, of which `pictures` are data URLs."""
    text = f"{question or _CAPTION}\n{_JSON if style == 'json' else _CAPTION_TEXT}"
    images = [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def variation_messages(caption: str, instruction: str, style: Style) -> list[Message]:
    """The request for a caption that is varied by an instruction."""
    form = _JSON if style == "json" else "Answer with the new description as one paragraph and nothing else."
    text = _VARIATION.format(instruction=instruction, caption=caption, form=form)
    return [{"role": "user", "content": text}]


def prompt_of(answer: str, style: Style) -> str:
    """The prompt in an answer, without the model's reasoning, tags and fences. Raises AnswerError."""
    text = re.sub(r"<think>.*?</think>", "", answer, flags=re.S)
    if "<think>" in text:
        raise AnswerError("the answer ends before the model's reasoning does")
    text = text.rpartition("</think>")[2]  # servers leave out the opening tag that the chat template gives
    if found := re.search(r"<answer>(.*?)</answer>", text, re.S):
        text = found[1]
    text = text.strip()
    if found := re.fullmatch(r"```\w*\n(.*?)\n?```", text, re.S):
        text = found[1].strip()
    if not text:
        raise AnswerError("the answer is empty")
    if fault := text_fault(text):
        raise AnswerError(f"the answer {fault}")
    made = _json_caption(text) if style == "json" else text
    if len(made) > _LONGEST:
        raise AnswerError(f"the answer has {len(made):,} characters, and a prompt may have {_LONGEST:,}")
    return made


def _json_caption(text: str) -> str:
    """The JSON object of a caption, on one line."""
    try:
        value = parse_json(text.encode())
    except MalformedJsonError as error:
        raise AnswerError(f"the answer {error.message}: {shown(text)}") from error
    if not isinstance(value, dict):
        raise AnswerError(f"the answer is no JSON object: {shown(text)}")
    wrong = [name for name, kind in REQUIRED.items() if not isinstance(value.get(name), kind) or not value[name]]
    if wrong:
        raise AnswerError(f"the JSON caption lacks {', '.join(wrong)}, or has them as another type")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise AnswerError("the JSON caption has a number that is not finite") from error
