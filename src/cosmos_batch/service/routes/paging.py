"""Parameters of several routes. Paging is as at OpenAI: `after` is the id of the last thing of the page before."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

After = Annotated[str, Query(max_length=128, description="id of the last one of the page before")]
Limit = Annotated[int, Query(ge=1, le=100)]
FilesLimit = Annotated[int, Query(ge=1, le=10_000)]
Order = Annotated[Literal["asc", "desc"], Query(description="by the time at which they were made")]
Playable = Annotated[bool, Query(description="where browsers do not play the file: a copy that they do")]
