"""Names that a misspelt or foreign field may stand for: equal meanings in other formats, then edit distance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LONGEST = 60  # characters; a longer word is no misspelt name
_SHARE = 0.34  # of a name's characters may be wrong

# Fields of equal meaning: the names of all formats, and those that are common elsewhere.
_MEANINGS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "video video_path vision_path input_video_path visual_input input_video input input_path video_file",
        "control_path input_control control_video control_input video_path path",
        "control_weight weight strength scale control_scale",
        "negative_prompt negative neg_prompt n_prompt",
        "negative_prompt_file negative_prompt_path negative_prompt",
        "prompt text caption description",
        "prompt_path prompt_file caption_path",
        "id name run_id sample_id uuid custom_id",
        "num_frames max_frames frames num_video_frames frame_count length",
        "num_steps steps num_inference_steps sample_steps inference_steps",
        "guidance guidance_scale cfg cfg_scale",
        "fps frame_rate framerate rate",
        "resolution size video_size",
        "vis blur visual",
        "edge canny edges",
        "seg segmentation",
        "preset_edge_threshold canny_threshold edge_threshold",
        "preset_blur_strength blur_strength",
        "mask_prompt control_weight_prompt",
        "mask_path mask control_mask mask_video",
        "control_prompt input_control_prompt",
        "weights control_weights",
    )
)


def closest(word: str, known: Sequence[str]) -> str | None:
    """The known name that a word most probably stands for; None where none is close."""
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    if not plain or len(plain) > _LONGEST:
        return None
    if plain in known:
        return plain
    return _of_equal_meaning(plain, known) or _of_equal_words(plain, known) or _of_few_edits(plain, known)


def edit_distance(one: str, other: str, limit: int) -> int:
    """Edits between two words: letters added, left out, replaced, or exchanged with a neighbour; above `limit`,
    any number above it."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, wanted in enumerate(other, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]


def _of_equal_meaning(word: str, known: Sequence[str]) -> str | None:
    meant: Iterable[str] = (name for names in _MEANINGS if word in names for name in known if name in names)
    return next(iter(meant), None)


def _of_equal_words(word: str, known: Sequence[str]) -> str | None:
    """The name of the same parts in another order or spelling: "path_control", "controlpath"."""
    parts, joined = sorted(word.split("_")), word.replace("_", "")
    alike = (name for name in known if sorted(name.split("_")) == parts or name.replace("_", "") == joined)
    return next(alike, None)


def _of_few_edits(word: str, known: Sequence[str]) -> str | None:
    limit = max(1, int(len(word) * _SHARE))
    near = [(edit_distance(word, name.lower(), limit), name) for name in known]
    best = min(near, default=None)
    return best[1] if best and best[0] <= min(limit, max(1, int(len(best[1]) * _SHARE))) else None
