"""Prompts of the pocket world: many names of each style, and other words of prompts."""

from __future__ import annotations

import random
import re

PHRASES: dict[str, tuple[str, ...]] = {
    "snow": (
        "covered in snow", "on a snowy winter day", "under fresh white snow", "in deep winter snow and frost",
        "after a heavy snowfall", "in a frozen, icy landscape", "in a snowstorm", "with snow on everything",
        "in the arctic cold, everything frozen white", "on a frosty January morning", "in wintry weather",
        "in a wintertime blizzard", "snow", "winter", "icy and snow-covered",
    ),
    "night": (
        "at night", "in the dark of the night", "under a starry night sky", "after dark, lit by the moon",
        "in moonlight", "at midnight", "late in the night, with a warm lamp", "after nightfall",
        "in darkness",
        "on a moonlit night", "night", "night time", "lit by a single lantern at nighttime", "under the moon",
    ),
    "desert": (
        "in the desert", "on desert sand", "among sand dunes", "in a hot, sandy desert", "in the Sahara",
        "under a burning desert sun", "on sunbaked dunes", "in an arid land of sand", "desert",
        "on a dry sandy plain",
        "in scorching heat on golden sand", "in a dusty, barren desert", "sand and dunes everywhere",
    ),
    "neon": (
        "in neon lights", "in a cyberpunk city", "with glowing neon", "in neon colours at night",
        "synthwave style",
        "in a neon-lit arcade", "with bright neon outlines, retrowave", "neon",
        "in a glowing cyberpunk world",
        "in vaporwave style, on a glowing grid", "with fluorescent neon glow",
        "in a futuristic neon city at night",
    ),
    "autumn": (
        "in autumn", "on an autumn afternoon", "with autumn leaves", "in the fall, among orange leaves",
        "in golden October light", "in the warm colours of fall foliage", "autumn", "on a mellow autumn day",
        "in late September sun", "in an autumnal park", "under autumn trees in russet and amber",
        "in November, fall colours",
    ),
    "blueprint": (
        "as a blueprint", "drawn as a blueprint", "in the style of a technical drawing",
        "as an engineering blueprint",
        "as white lines on blue paper", "as an architect's drawing", "blueprint", "in blueprint style",
        "as a schematic diagram", "as a technical line drawing on blue",
        "as an architectural plan, white on blue",
    ),
}  # fmt: skip
"""Ways to name each style."""

_KEYS: dict[str, re.Pattern[str]] = {
    "neon": re.compile(r"neon|cyberpunk|synthwave|retrowave|vaporwave"),
    "blueprint": re.compile(r"blueprint|drawing|schematic|white lines|architectural plan"),
    "snow": re.compile(r"snow|wint|frost|frozen|arctic|blizzard|\bicy"),
    "desert": re.compile(r"desert|\bsand|dune|sahara"),
    "autumn": re.compile(r"autumn|october|september|november|\bfall\b"),
    "night": re.compile(r"night|\bdark|moon|lantern"),
}  # in this order, since neon is often found at night

_SUBJECTS = (
    "solid shapes", "moving spheres, boxes and cylinders", "a plaza with moving objects", "geometric solids",
    "toy blocks and balls", "a scene", "objects on a checkered floor", "the same scene", "a street",
    "a robot at work",
    "a car drives along the road", "bouncing balls", "simple shapes moving about", "a courtyard",
    "a room with objects",
    "a video", "several objects", "a warehouse", "a table with things on it", "large shapes",
)  # fmt: skip
_OPENINGS = (
    "", "", "", "A video of ", "The video shows ", "A realistic video of ", "Footage of ",
    "A camera moves around ",
    "Cinematic shot: ", "A photorealistic view of ", "We see ", "An image sequence with ",
    "Make it look like ",
)  # fmt: skip
_DETAILS = (
    "", "", "", ", high quality", ", cinematic lighting", ", highly detailed", ", 4k", ", sharp focus",
    ". The camera moves slowly", ". Everything moves smoothly", ", wide angle",
    ". The objects keep their shapes",
    ", soft shadows, realistic textures", ". The scene is calm and still",
    ", beautiful, professional footage",
    ". The camera follows the action and the colours are rich", ". Shot on a handheld camera, photorealistic",
)  # fmt: skip

NEGATIVE = "low quality, blurry"
_NEGATIVES = (
    "",
    NEGATIVE,
    # The default of NVIDIA's Transfer2.5 code
    "The video captures a series of frames showing ugly scenes, static with no motion, motion blur, "
    "over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit areas, "
    "underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky "
    "movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, "
    "fake elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. "
    "Overall, the video is of poor quality.",
)


def write_prompt(style: str, dice: random.Random) -> str:
    """A prompt that names a style."""
    phrase = dice.choice(PHRASES[style])
    kind = dice.random()
    if kind < 0.15:
        prompt = phrase
    elif kind < 0.3:
        prompt = f"{phrase}: {dice.choice(_SUBJECTS)}{dice.choice(_DETAILS)}"
    else:
        prompt = f"{dice.choice(_OPENINGS)}{dice.choice(_SUBJECTS)} {phrase}{dice.choice(_DETAILS)}"
    return prompt.capitalize() if dice.random() < 0.5 else prompt


def write_negative(dice: random.Random) -> str:
    """A prompt of the unguided pass; it names no style."""
    return dice.choice(_NEGATIVES)


def style_of(prompt: str) -> str | None:
    """The style that a prompt names by one of the training prompts' words, None if it names none."""
    text = prompt.casefold()
    return next((style for style, keys in _KEYS.items() if keys.search(text)), None)
