"""Where a command's outputs go: a folder, a folder with names of a pattern, or a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosmos_batch.addresses import BUCKETS, address_of, scheme_of
from cosmos_batch.dispatch.output.directory import OutputDirectory
from cosmos_batch.dispatch.output.named_outputs import NamedOutputs, root_of
from cosmos_batch.errors import InputError, Problem
from cosmos_batch.run import Run

if TYPE_CHECKING:
    from cosmos_batch.dispatch.output.bucket_mirror import BucketMirror

_OPTION = "--output"
_SHEETS = "contact_sheet*.png"


def local_folder(output: Path) -> Path:
    """The folder of this machine that belongs to `-o`: of a bucket, the one where its outputs are made.

    Raises InputError for an address of another kind.
    """
    address = address_of(str(output))
    if address is None:
        return root_of(output)
    if scheme_of(address) not in BUCKETS:
        raise InputError([_problem(address, "is read and never written", _addresses())])
    from cosmos_batch.dispatch.output.bucket_mirror import folder_for

    return folder_for(address.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Destination:
    """Where outputs go. Only the main thread of a command calls it."""

    outputs: NamedOutputs  # the output folder, and the names that outputs get beside their folders
    mirror: BucketMirror | None

    @classmethod
    def of(cls, output: Path, runs: Callable[[], Iterable[Run]]) -> Destination:
        """Read `-o`. `runs`: gives the resolved runs where there is a pattern.

        Raises InputError, and MissingExtraError for a bucket whose client is not installed.
        """
        address = address_of(str(output))
        if address is None:
            return cls(NamedOutputs.of(output, runs), None)
        root = local_folder(output)
        if "{" in address:
            raise InputError([_problem(address, "is a pattern in a bucket", "give the bucket's folder alone")])
        from cosmos_batch.dispatch.output.bucket_mirror import BucketMirror
        from cosmos_batch.storage.open_store import open_store

        return cls(NamedOutputs(root, None, ()), BucketMirror(open_store(address.rstrip("/"), _OPTION)))

    @property
    def root(self) -> Path:
        """The output folder of this machine."""
        return self.outputs.root

    def __str__(self) -> str:
        return self.mirror.url if self.mirror else str(self.root)

    def fetch(self, folder: OutputDirectory, run_ids: Iterable[str]) -> None:
        """Get what a bucket has of these runs. Raises StorageError."""
        if self.mirror:
            self.mirror.fetch(folder, run_ids)

    def place(self, run_id: str) -> None:
        """Send a finished output where it belongs. Raises OSError."""
        if self.mirror:
            self.mirror.publish(self.root / run_id, run_id)
        else:
            self.outputs.place(run_id)

    def finish(self, folder: OutputDirectory) -> None:
        """Wait until a bucket has all outputs, the manifest and the contact sheets. Raises StorageError."""
        if self.mirror:
            self.mirror.finish([self.root / folder.manifest, *sorted(self.root.glob(_SHEETS))])


def _addresses() -> str:
    return f"give a folder, or an address such as {', '.join(f'{scheme}://bucket/folder' for scheme in BUCKETS)}"


def _problem(address: str, fault: str, remedy: str) -> Problem:
    return Problem("", None, _OPTION, address, fault, remedy)
