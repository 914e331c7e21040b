"""Which answers of a model are prompts."""

from __future__ import annotations

import json

import pytest

from cosmos_batch.prompting.messages import AnswerError, caption_messages, prompt_of, variation_messages

CAPTION = {
    "subjects": [{"description": "a crane"}],
    "background_setting": "a dock",
    "temporal_caption": "It turns.",
}


@pytest.mark.parametrize(
    "answer",
    [
        "a dock",
        "\n a dock \n",
        "<think>I see\nwater</think>\na dock",
        "I see water</think>a dock",
        "<think>x</think><answer>\na dock\n</answer>",
        "```\na dock\n```",
        "```text\na dock```",
    ],
)
def test_prompt_is_the_answer_without_its_wrapping(answer: str) -> None:
    assert prompt_of(answer, "text") == "a dock"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "is empty"),
        ("<think>x</think> ", "is empty"),
        ("<think>a dock", "before the model's reasoning"),
        ("a\0b", "NUL"),
        ("a" * 100_001, "100,001 characters"),
    ],
)
def test_answer_that_is_no_prompt_is_refused(answer: str, message: str) -> None:
    with pytest.raises(AnswerError, match=message):
        prompt_of(answer, "text")


def test_json_caption_is_one_line_with_the_same_content() -> None:
    made = prompt_of(f"```json\n{json.dumps(CAPTION, indent=2)}\n```", "json")
    assert json.loads(made) == CAPTION
    assert "\n" not in made


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("a dock", "is not JSON"),
        ("[1]", "no JSON object"),
        ('{"subjects": []}', "lacks subjects, background_setting, temporal_caption"),
        (json.dumps(CAPTION | {"subjects": "a crane"}), "lacks subjects,"),
        (json.dumps(CAPTION)[:-1] + ', "x": NaN}', "not finite"),
        (json.dumps(CAPTION)[:-1] + ', "subjects": [1]}', "more than once"),
    ],
)
def test_json_caption_that_cosmos_3_could_not_use_is_refused(answer: str, message: str) -> None:
    with pytest.raises(AnswerError, match=message):
        prompt_of(answer, "json")


def test_own_question_replaces_the_built_in_text_and_keeps_the_form() -> None:
    (message,) = caption_messages(["data:image/jpeg;base64,AA=="], "json", "What does the robot hold?")
    content = message["content"]
    assert isinstance(content, list)
    assert content[0] == {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA=="}}
    assert content[1]["text"].startswith("What does the robot hold?\nAnswer with one JSON object")


def test_braces_of_a_caption_reach_the_model_unchanged() -> None:
    (message,) = variation_messages('{"a": "{instruction}"}', "snow {caption}", "json")
    assert '{"a": "{instruction}"}' in str(message["content"])
    assert "snow {caption}" in str(message["content"])
