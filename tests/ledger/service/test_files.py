"""Records of files."""

from __future__ import annotations

from cosmos_batch.ledger import (
    FileRecord,
    Ledger,
)
from cosmos_batch.planning.traits import VideoInfo


def test_file_is_stored_and_deleted(ledger: Ledger) -> None:
    video = FileRecord("file-1", "a.mp4", "user_data", "/up/1", 5, "ab", "alice", VideoInfo(4, 2, 9, 8.0), 1.0)
    lines = FileRecord("file-2", "b.jsonl", "batch", "/up/2", 6, "cd", "", None, 2.0)
    ledger.files.add(video)
    ledger.files.add(lines)

    assert ledger.files.get("file-1") == video
    assert ledger.files.page() == [lines, video]
    assert ledger.files.page(after="file-2") == [video]
    assert ledger.files.page(newest_first=False) == [video, lines]
    assert ledger.files.page(purpose="batch") == [lines]
    assert ledger.files.delete("file-1") == video
    assert ledger.files.delete("file-1") is None
