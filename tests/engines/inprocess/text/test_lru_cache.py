"""The cache of text features: what it holds, and what it lets go."""

from __future__ import annotations

from cosmos_batch.engines.inprocess.text.lru_cache import FeatureCache


def held(cache: FeatureCache[str], *keys: str) -> list[str | None]:
    return [cache.get(key) for key in keys]


def test_least_recently_used_value_is_dropped_first() -> None:
    # Given a full cache, in which the oldest entry was just used
    cache = FeatureCache[str](max_bytes=30)
    for key in ("snow", "night", "neon"):
        cache.put(key, key.upper(), 10)
    cache.get("snow")
    # When one more comes
    cache.put("desert", "DESERT", 10)
    # Then the one that was not used for longest is gone
    assert held(cache, "snow", "night", "neon", "desert") == ["SNOW", None, "NEON", "DESERT"]


def test_large_value_drops_as_many_as_needed() -> None:
    cache = FeatureCache[str](max_bytes=30)
    for key in ("snow", "night", "neon"):
        cache.put(key, key.upper(), 10)
    cache.put("desert", "DESERT", 15)
    assert held(cache, "snow", "night", "neon", "desert") == [None, None, "NEON", "DESERT"]


def test_a_value_larger_than_the_cache_is_not_held_and_pushes_out_nothing() -> None:
    cache = FeatureCache[str](max_bytes=30)
    cache.put("snow", "SNOW", 30)
    cache.put("desert", "DESERT", 31)
    assert held(cache, "snow", "desert") == ["SNOW", None]


def test_putting_a_key_again_replaces_its_value_and_its_size() -> None:
    cache = FeatureCache[str](max_bytes=30)
    cache.put("snow", "first", 30)
    cache.put("snow", "second", 10)
    cache.put("night", "NIGHT", 20)
    assert held(cache, "snow", "night") == ["second", "NIGHT"]


def test_a_cleared_cache_has_room_again() -> None:
    cache = FeatureCache[str](max_bytes=30)
    cache.put("snow", "SNOW", 30)
    assert len(cache) == 1
    cache.clear()
    assert len(cache) == 0
    assert held(cache, "snow") == [None]
    for key in ("night", "neon"):
        cache.put(key, key.upper(), 15)
    assert held(cache, "night", "neon") == ["NIGHT", "NEON"]
