"""Query parameters of several routes. Paging is as at OpenAI: `after` is the last id of the previous page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

After = Annotated[str, Query(max_length=128, description="last id of the previous page")]
Limit = Annotated[int, Query(ge=1, le=100)]
FilesLimit = Annotated[int, Query(ge=1, le=10_000)]
Order = Annotated[Literal["asc", "desc"], Query(description="by time of creation")]
Playable = Annotated[bool, Query(description="an H.264 copy where browsers cannot play the file")]
CreatedAfter = Annotated[
    float | None, Query(allow_inf_nan=False, description="submitted then or later, seconds since 1970")
]
CreatedBefore = Annotated[
    float | None, Query(allow_inf_nan=False, description="submitted earlier, seconds since 1970")
]
