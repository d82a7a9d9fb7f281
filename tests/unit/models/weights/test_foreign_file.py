"""Files that are no weights are named as what they are, with what to do."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from segbench.errors import WeightsError
from segbench.models.weights.foreign_file import FileKind, kind_of
from segbench.models.weights.foreign_states import read_contents

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1234567\n"


def tar_archive(form: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        content = b"weights"
        member = tarfile.TarInfo("model/plain.pth")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def said_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        kind_of(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.ckpt", "w"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER.encode(), ["Git LFS pointer for a file of 1,234,567 bytes", "git lfs pull"]),
        (POINTER.replace("\n", "\r\n").encode(), ["Git LFS pointer for a file of 1,234,567 bytes"]),
        (b"/annex/objects/SHA256E-s12--ab.pth\n", ["git-annex pointer", "git annex get"]),
        (b"<!DOCTYPE html><html><body>404</body></html>", ["web page", "download it again"]),
        (b"\n\n<html lang='en'><head><title>Sign in</title>" + b"x" * 9000, ["web page"]),
        ("\ufeff<!doctype HTML><p>é".encode("utf-8"), ["web page"]),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', ["XML text", "download it again"]),
        (b'{"message": "Not Found"}', ["JSON text of 24 bytes"]),
        (b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', ["name the file of weights itself"]),
        (b"Access denied", ["begins with 'Access denied'"]),
        (b"", ["is empty (0 bytes)", "download it again"]),
        (bytes(5000), ["zero bytes", "download it again"]),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), ["HDF5", "state_dict is expected"]),
        (b"\x1f\x8b\x08" + bytes(100), ["gzip", "unpack"]),
        (tar_archive(tarfile.USTAR_FORMAT), ["is a tar archive: unpack it"]),
        (tar_archive(tarfile.GNU_FORMAT), ["is a tar archive: unpack it"]),
        (tar_archive(tarfile.PAX_FORMAT), ["is a tar archive: unpack it"]),
    ],
)
def test_what_is_no_file_of_weights_is_named_whatever_its_ending(
    tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    message = said_of(tmp_path / name, content)
    for word in words:
        assert word in message


@pytest.mark.parametrize("length", [2**63, 10**12, 1000])
def test_a_safetensors_header_longer_than_the_file_is_told(tmp_path: Path, length: int) -> None:
    message = said_of(tmp_path / "w.safetensors", length.to_bytes(8, "little") + b'{"a": 1}')
    assert f"its header would be {length:,} bytes long and the whole file has 16" in message


def test_a_cut_off_zip_archive_and_one_of_other_things_are_told(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    assert "cut off or damaged: download it again" in said_of(tmp_path / "cut.pth", whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("model.pth", b"x")
    assert "zip archive of other things (model.pth)" in said_of(
        tmp_path / "other.pth", (tmp_path / "other.pth").read_bytes()
    )


def test_a_torchscript_archive_is_told_with_the_way_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("script/data.pkl", "script/constants.pkl", "script/code/__torch__.py"):
            archive.writestr(name, b"x")
    with pytest.raises(WeightsError, match=r"TorchScript.*torch\.jit\.load"):
        kind_of(tmp_path / "script.pt")


def test_a_file_is_what_it_holds_not_what_it_is_called(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert kind_of(tmp_path / "a.pth") is FileKind.SAFETENSORS
    assert kind_of(tmp_path / "a.safetensors") is FileKind.TORCH
    assert kind_of(tmp_path / "old.pth") is FileKind.OLD_TORCH
    for name in ("a.pth", "a.safetensors", "old.pth"):
        for shapes_only in (False, True):
            (state,) = read_contents(tmp_path / name, shapes_only=shapes_only).states.values()
            assert state["a"].shape == (1,)


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no such file \(it is a folder"):
        kind_of(tmp_path)


@pytest.mark.parametrize("low", [2, 3, 4, 5])
def test_a_safetensors_file_that_begins_as_a_pickle_is_one_whatever_its_name(tmp_path: Path, low: int) -> None:
    # a header of 0x0280, 0x0380, ... bytes begins with 0x80 and the protocol of a pickle
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    raw = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    wanted = low * 256 + 0x80
    header = raw[8 : 8 + length].ljust(wanted)
    for name in ("b.pth", "b.safetensors", "b.ckpt"):
        (tmp_path / name).write_bytes(wanted.to_bytes(8, "little") + header + raw[8 + length :])
        assert kind_of(tmp_path / name) is FileKind.SAFETENSORS
        assert read_contents(tmp_path / name).states[""]["a"].tolist() == [0, 1, 2]


def test_an_old_file_of_torch_is_one_whatever_its_name(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3.0)}, tmp_path / "a.safetensors", _use_new_zipfile_serialization=False)
    assert kind_of(tmp_path / "a.safetensors") is FileKind.OLD_TORCH
    assert read_contents(tmp_path / "a.safetensors").states[""]["a"].tolist() == [0, 1, 2]


def offset_of(path: Path, content: bytes) -> int:
    return path.read_bytes().index(content)


@pytest.mark.parametrize("damage", ["one bit", "a piece", "zeros", "the header of a member", "the pickle"])
@pytest.mark.parametrize("shapes_only", [False, True])
def test_a_damaged_archive_is_refused_with_what_is_damaged(tmp_path: Path, damage: str, shapes_only: bool) -> None:
    state = {"a": torch.arange(1.0, 2001.0), "b": torch.arange(3000.0, 5000.0)}
    path = tmp_path / "w.pth"
    torch.save(state, path)
    at = offset_of(path, state["b"].numpy().tobytes())
    raw = bytearray(path.read_bytes())
    if damage == "one bit":
        raw[at + 77] ^= 1
    elif damage == "a piece":
        raw[at : at + 600] = bytes(value ^ 0xFF for value in raw[at : at + 600])
    elif damage == "zeros":
        raw[at + 100 : at + 4196] = bytes(4096)
    elif damage == "the header of a member":
        raw[raw.index(b"data/1")] ^= 1
    else:
        raw[raw.index(b"FloatStorage")] ^= 1
    path.write_bytes(raw)
    named = "data.pkl" if damage == "the pickle" else "data/1"
    with pytest.raises(WeightsError, match=rf"w\.pth: is damaged: the content of w/{named} does not have its checksum"):
        read_contents(path, shapes_only=shapes_only)


def test_an_archive_that_is_damaged_after_it_was_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    state = {"a": torch.arange(1.0, 2001.0)}
    torch.save(state, path)
    assert read_contents(path).states[""]["a"].sum() == 2001000
    raw = bytearray(path.read_bytes())
    raw[offset_of(path, state["a"].numpy().tobytes()) + 8] ^= 0x10
    path.write_bytes(raw)
    with pytest.raises(WeightsError, match="is damaged"):
        read_contents(path)


def test_an_archive_without_checksums_is_read(tmp_path: Path) -> None:
    """``torch.serialization.set_crc32_options(False)`` stores 0 for all."""
    written = io.BytesIO()
    torch.save({"a": torch.arange(3.0)}, written)
    raw = bytearray(written.getvalue())
    with zipfile.ZipFile(io.BytesIO(bytes(raw))) as archive:
        sums = [member.CRC.to_bytes(4, "little") for member in archive.infolist()]
    for one in sums:
        raw = raw.replace(one, bytes(4))
    (tmp_path / "w.pth").write_bytes(raw)
    with zipfile.ZipFile(tmp_path / "w.pth") as archive:
        assert not any(member.CRC for member in archive.infolist())
    assert read_contents(tmp_path / "w.pth").states[""]["a"].tolist() == [0, 1, 2]
