"""What is in files of torch.save, without PyTorch's own reader; that one is what the tests compare with."""

from __future__ import annotations

import io
import mmap
import os
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cosmos_batch.engines.inprocess.torch_files.archive import StoredTensor, read_torch_file
from cosmos_batch.errors import ModelError


def saved(folder: Path, value: object, **options: Any) -> Path:
    torch.save(value, folder / "model.pt", **options)
    return folder / "model.pt"


def tensor_in(path: Path, stored: StoredTensor) -> Tensor:
    dtype = getattr(torch, stored.dtype)
    with path.open("rb") as file:
        data = bytearray(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    flat = torch.frombuffer(data[stored.offset : stored.offset + stored.size], dtype=dtype)
    return flat.as_strided(stored.shape, stored.stride)


def test_each_tensor_is_where_pytorch_finds_it(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    path = saved(
        tmp_path,
        OrderedDict(
            plain=torch.randn(3, 5),
            half=torch.randn(7).to(torch.bfloat16),
            view=whole[1:3, 2:],  # a part of a storage
            turned=whole.T,  # the same storage, not contiguous
            parameter=torch.nn.Parameter(torch.randn(2, 2)),
            number=torch.tensor(3),
            small=torch.ones(2, 2).to(torch.float8_e4m3fn),
        ),
    )
    wanted = torch.load(path, mmap=True, weights_only=True)

    found = read_torch_file(path).tensors

    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        read = tensor_in(path, found[name])
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read.float(), tensor.float()), name


def test_values_beside_the_tensors_are_left_out(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        {"weight": torch.ones(1), "state": io.BytesIO(b"\x00\xff"), "none": None, "sizes": torch.Size((1, 2)),
         "dtype": torch.bfloat16, "device": torch.device("cuda", 1), "step": 7},
    )  # fmt: skip
    assert set(read_torch_file(path).tensors) == {"weight"}


@pytest.mark.parametrize("field", ["state_dict", "model", "module"])
def test_weights_may_be_in_a_field_of_a_training_loop(field: str, tmp_path: Path) -> None:
    path = saved(tmp_path, {field: {"weight": torch.ones(1)}, "iteration": 1000})
    assert set(read_torch_file(path).tensors) == {"weight"}


class Harmful:
    """Calls a function when an ordinary unpickler reads it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch harm",)


def test_a_pickle_that_calls_anything_is_refused_and_calls_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, {"weight": torch.ones(1), "more": Harmful()})
    with pytest.raises(
        ModelError, match=r"model\.pt: holds posix\.system, which is neither a tensor nor plain data"
    ):
        read_torch_file(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(3), "holds one tensor"),
        ([torch.ones(3)], "holds one list"),
        ({"step": 7}, "holds no tensors"),
    ],
)
def test_what_is_not_weights_by_name_is_refused(value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"{message}; needed is a file of weights by name"):
        read_torch_file(saved(tmp_path, value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x10\0\0\0\0\0\0\0{}" + b" " * 14, "is a safetensors file"),
        (b"\x80\x02}q\x00.", "is a pickle outside an archive"),
        (b"<!DOCTYPE html>", "is no file of torch.save .it begins with b'<!DOCTYP"),
    ],
)
def test_files_of_other_kinds_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.pt: .*{message}"):
        read_torch_file(path)


def test_pytorchs_old_format_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, {"weight": torch.ones(1)}, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"as PyTorch wrote before 1\.6"):
        read_torch_file(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_named(share: float, tmp_path: Path) -> None:
    path = saved(tmp_path, {str(index): torch.randn(100) for index in range(20)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ModelError, match=r"model\.pt: is cut short or damaged: .* copy or download it again"):
        read_torch_file(path)


def test_damage_in_the_description_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, {"weight": torch.ones(4)})
    content = path.read_bytes()
    for old, new in (
        (b"FloatStorage", b"FlxatStorage"),
        (b"weight", b"we\xffght"),
        (b"ctorch._utils", b"ctorch._xtils"),
    ):
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(ModelError, match=r"model\.pt: (is damaged: its data\.pkl cannot be read|holds torch)"):
            read_torch_file(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.pt: cannot be read \(No such file"):
        read_torch_file(tmp_path / "nothing.pt")


def test_a_description_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}r\xff\xff\xff\x7f.")  # a memo of two thousand million places
    with pytest.raises(ModelError, match="more memory than its own size needs"):
        read_torch_file(tmp_path / "model.pt")


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    assert set(read_torch_file(saved(tmp_path, {"first": torch.ones(1)})).tensors) == {"first"}
    assert set(read_torch_file(saved(tmp_path, {"second": torch.ones(1)})).tensors) == {"second"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_archive_is_refused_whatever_is_in_it(method: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("model/data.pkl", bytes(range(256)) * 50)
    content = bytearray(path.read_bytes())
    content[60:66] = bytes(6)
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.pt: is a compressed archive"):
        read_torch_file(path)


def test_a_description_that_ends_with_the_file_is_damaged(tmp_path: Path) -> None:
    """The list at the end of the file says that it is longer."""
    path = saved(tmp_path, {"weight": torch.ones(4)})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<2L", len(content), len(content))
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.pt: is damaged: its data\.pkl cannot be read"):
        read_torch_file(path)
