"""The folder of a service: its paths and its lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosmos_batch.dispatch.output.service_home import ServiceHome
from cosmos_batch.errors import StorageError


def test_lock_creates_the_folder_and_names_this_process(tmp_path: Path) -> None:
    home = ServiceHome(tmp_path / "home")

    lock = home.lock()

    assert (home.root / "lock").read_text() == str(os.getpid())
    assert home.marker(0).parent.is_dir()
    with pytest.raises(StorageError, match=f"is served by process {os.getpid()}; stop it, or choose"):
        home.lock()
    lock.release()
    home.lock().release()


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    with pytest.raises(StorageError, match="is not a folder; choose another"):
        ServiceHome(tmp_path / "home").make()
