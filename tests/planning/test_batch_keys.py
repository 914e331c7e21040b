"""Values of launch and batch keys."""

from __future__ import annotations

from cosmos_batch.media.info import VideoInfo
from cosmos_batch.planning.batch_keys import distinguishing_values, input_facts, key_of
from cosmos_batch.run import DEFAULTS, Control, GuidedGeneration
from tests.support.runs import MakeRun


def test_mask_limits_the_length_unless_it_is_a_single_frame(make_run: MakeRun) -> None:
    facts = {"/in/a.mp4": VideoInfo(640, 480, 90, 24), "/in/mask.mp4": VideoInfo(640, 480, 60, 24)}
    run = make_run(controls=(Control(name="edge", weight=1, mask="/in/mask.mp4"),))
    single = facts | {"/in/mask.mp4": VideoInfo(640, 480, 1, 24)}
    assert [input_facts(run, known).frames for known in (facts, single)] == [60, 90]


def test_mask_of_guided_generation_limits_the_length_too(make_run: MakeRun) -> None:
    facts = {"/in/a.mp4": VideoInfo(640, 480, 90, 24), "/in/mask.npz": VideoInfo(640, 480, 60, 0)}
    run = make_run("edge", guided_generation=GuidedGeneration(mask="/in/mask.npz"))
    single = facts | {"/in/mask.npz": VideoInfo(640, 480, 1, 0)}
    assert [input_facts(run, known).frames for known in (facts, single)] == [60, 90]


def test_unset_settings_have_their_default_in_a_key(make_run: MakeRun) -> None:
    key = key_of(("signature", "seed", "blur_strength"), DEFAULTS)

    assert key(make_run("edge"), None) == key(make_run("edge", seed=42), None) == (("edge",), 42, "medium")


def test_keys_are_distinguished_from_those_of_their_signature() -> None:
    keys = [(("edge",), 1, 5), (("edge",), 2, 5), (("vis",), 1, 7)]

    assert distinguishing_values(("signature", "seed", "fps"), keys) == {
        (("edge",), 1, 5): (("seed", 1),),
        (("edge",), 2, 5): (("seed", 2),),
        (("vis",), 1, 7): (),
    }
