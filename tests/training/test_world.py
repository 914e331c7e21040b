"""The world that renders itself: the same every time, and exact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.pocket.geometry import FIRST_SOLID, GROUND, SKY, View, look_at
from training.pocket.looks import LOOKS, STYLES
from training.pocket.scenes import SPHERE, Scenes, make_scenes
from training.pocket.world import SEG_GROUND, SEG_SKY, Film, film_seed


@pytest.fixture(scope="module")
def film() -> Film:
    return film_seed(5, ("clay", "night"), frames=2)


def seen(scenes: Scenes) -> View:
    return look_at(scenes, torch.tensor([0]), 24, 40)


def test_a_seed_gives_the_same_film_every_time(film: Film) -> None:
    again = film_seed(5, ("clay", "night"), frames=2)
    assert torch.equal(film.rgb["night"], again.rgb["night"])
    assert torch.equal(film.depth, again.depth)
    assert torch.equal(film.seg, again.seg)


def test_another_seed_gives_another_film(film: Film) -> None:
    assert not torch.equal(film.seg, film_seed(6, ("clay",), frames=2).seg)


def test_scene_does_not_depend_on_the_other_scenes_of_a_call() -> None:
    alone, beside = make_scenes([9]), make_scenes([8, 9])
    assert torch.equal(alone.place[0], beside.place[1])
    assert torch.equal(alone.sun[0], beside.sun[1])


def test_a_film_is_8_bit_video_of_160_by_96(film: Film) -> None:
    assert film.rgb["clay"].shape == film.depth.shape == film.seg.shape == (1, 2, 96, 160, 3)
    assert film.rgb["clay"].dtype == torch.uint8


def test_things_move_from_frame_to_frame(film: Film) -> None:
    assert not torch.equal(film.seg[:, 0], film.seg[:, 1])


def test_depth_is_black_for_the_sky_and_white_at_the_nearest_point(film: Film) -> None:
    sky = (film.seg == torch.tensor(SEG_SKY)).all(-1)
    assert int(film.depth[sky].max()) == 0
    assert int(film.depth.max()) == 255


def test_seg_has_one_colour_per_thing(film: Film) -> None:
    colours = {tuple(c) for c in film.seg.flatten(0, 3).unique(dim=0).tolist()}
    assert SEG_SKY in colours
    assert SEG_GROUND in colours
    assert 3 <= len(colours) <= 7  # sky, ground, and the solids that are in view


def test_hit_points_of_rays_lie_on_their_surfaces() -> None:
    scenes = make_scenes(range(4))
    view = seen(scenes)
    eye = view.point - view.ray * view.distance.unsqueeze(-1)
    assert torch.allclose(eye.std((2, 3))[view.thing[:, :, 0, 0] != SKY], torch.zeros(1), atol=1e-3)
    assert float(view.point[view.thing == GROUND][:, 1].abs().max()) < 1e-4
    for scene, solid in spheres(scenes):
        points = view.point[scene][view.thing[scene] == FIRST_SOLID + solid]
        assert_on_a_sphere(points, float(scenes.size[scene, solid, 0]))


def spheres(scenes: Scenes) -> list[tuple[int, int]]:
    there = (scenes.kind == SPHERE) & scenes.present
    return [(int(b), int(k)) for b, k in there.nonzero()]


def assert_on_a_sphere(points: Tensor, radius: float) -> None:
    """Points of one sphere satisfy |p|^2 = 2 c p + (r^2 - c^2), which is linear in the centre c."""
    if len(points) < 8:
        return
    rows = torch.cat((2 * points, torch.ones(len(points), 1)), dim=1).double()
    found = torch.linalg.lstsq(rows, points.double().square().sum(1)).solution
    assert float((found[3] + found[:3].square().sum()).sqrt()) == pytest.approx(radius, rel=0.02)


def test_normals_are_unit_vectors_that_face_the_camera() -> None:
    view = seen(make_scenes([1, 2]))
    solid = view.thing != SKY
    assert torch.allclose(view.normal[solid].norm(dim=-1), torch.ones(1), atol=1e-4)
    assert float((view.normal * view.ray).sum(-1)[solid].max()) < 1e-3


def test_there_are_six_styles_and_the_clay_that_inputs_show() -> None:
    assert set(LOOKS) - set(STYLES) == {"clay"}
    assert len(STYLES) == 6
