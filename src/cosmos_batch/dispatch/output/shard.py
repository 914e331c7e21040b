"""A shard: the part of a command's runs that one of n processes makes, without knowing of the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cosmos_batch.errors import InputError, Problem

MOST = 100_000
_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of n parts of a set of runs. Processes that read the same files agree on all parts."""

    number: int  # from 1
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/8". Raises InputError."""
        found = _FORM.fullmatch(text.strip())
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            remedy = f"write i/n with i from 1 to n, and n up to {MOST:,}: 2/8 is the second of eight"
            raise InputError([Problem("", None, "--shard", text, "is no shard", remedy)])
        return cls(number, count)

    @property
    def name(self) -> str:
        """The shard in names of files: "2-of-8"."""
        return f"{self.number}-of-{self.count}"

    def of(self, run_ids: Iterable[str]) -> frozenset[str]:
        """The runs of this shard: of the ids in order, every n-th, so that shards differ by one run at most."""
        return frozenset(sorted(run_ids)[self.number - 1 :: self.count])
