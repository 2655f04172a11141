from __future__ import annotations

import gzip
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.dataset import absolute_source, open_source
from runtime.entry_point import load_function
from runtime.errors import DataError, ModelError, StorageError
from runtime.idx import read_idx
from runtime.shard import write_shard

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0], np.uint8)


def idx(array: npt.NDArray[Any], code: int = 0x08) -> bytes:
    header = struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the same five images as every kind of source."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_shard(tmp_path / "shard.npz", IMAGES, LABELS)
    (tmp_path / "images").write_bytes(idx(IMAGES))
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "labels").write_bytes(idx(LABELS))
    (tmp_path / "source.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)\n"
        "    return x, np.array([0, 1, 2, 1, 0])\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    "spec", ["shard.npz", "idx:images,labels", "idx:images.gz,labels", "source.py:load"]
)
def test_every_kind_of_source_gives_the_same_data(folder: Path, spec: str) -> None:
    for data in (open_source(spec, folder), open_source(absolute_source(spec, folder), Path())):
        assert len(data) == 5
        np.testing.assert_array_equal(data.inputs, IMAGES[:, np.newaxis])
        np.testing.assert_array_equal(data.labels, LABELS)
        assert data.inputs.dtype == np.uint8


def test_a_module_beside_the_file_is_a_source(folder: Path) -> None:
    (folder / "edgesplit_source_module.py").write_text((folder / "source.py").read_text())
    spec = "edgesplit_source_module:load"
    assert len(open_source(spec, folder)) == 5
    assert absolute_source(spec, folder) == spec


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("none.npz", "no such file"),
        ("idx:none,labels", "no such file"),
        ("idx:images", "idx:images,labels"),
        ("idx:source.py,labels", "is no idx file"),
        ("idx:short,labels", "header says"),
        ("idx:shorter,labels", "header says"),
        ("idx:cut.gz,labels", "fetch the file again"),
        ("idx:labels,images", "no axis per sample"),
        ("source.csv", "package.module:function"),
        ("source.py:save", "no function 'save'"),
        ("none.py:load", "cannot be loaded"),
        ("no_such_module_here:load", "cannot be loaded"),
        ("broken.py:load", "SyntaxError"),
        ("raising.py:load", "did not return (x, y): RuntimeError: no disk"),
        ("raising.py:load", "raising.py:1)"),
        ("source.py:lod", "did you mean 'load'?"),
        ("raising.py:one", "did not return (x, y)"),
        ("text.npz", "cannot be read"),
        ("pickled.npz", "cannot be read"),
        ("names.npz", "store arrays 'x' and 'y'"),
    ],
)
def test_a_bad_source_is_named_with_its_fix(folder: Path, spec: str, hint: str) -> None:
    (folder / "short").write_bytes(idx(IMAGES)[:-1])
    (folder / "shorter").write_bytes(idx(IMAGES)[:6])
    (folder / "cut.gz").write_bytes(gzip.compress(idx(IMAGES))[:-12])
    (folder / "broken.py").write_text("def load(:")
    (folder / "raising.py").write_text(
        "def load(): raise RuntimeError('no disk')\ndef one(): return 1"
    )
    (folder / "text.npz").write_text("no zip")
    np.savez(folder / "pickled.npz", x=np.array([{}], object), y=LABELS)
    np.savez(folder / "names.npz", inputs=IMAGES, labels=LABELS)
    with pytest.raises(DataError) as caught:
        open_source(spec, folder)
    assert hint in str(caught.value)
    assert spec.removeprefix("idx:").split(",")[0].split(":")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "labels", "hint"),
    [
        (IMAGES[:4], LABELS, "4 samples have 5 labels"),
        (IMAGES[:0], LABELS[:0], "no samples"),
        (IMAGES, LABELS.astype(float), "class numbers"),
        (IMAGES.astype(str), LABELS, "store it as uint8"),
        (IMAGES.astype(np.uint16), LABELS, "store it as uint8"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    tmp_path: Path, inputs: npt.NDArray[Any], labels: npt.NDArray[Any], hint: str
) -> None:
    np.savez(tmp_path / "bad.npz", x=inputs, y=labels)
    with pytest.raises(DataError, match=hint):
        open_source("bad.npz", tmp_path)


def test_a_pickle_in_a_shard_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    np.savez(tmp_path / "bomb.npz", x=np.array([Bomb()], object), y=np.array([0]))
    with pytest.raises(DataError):
        open_source("bomb.npz", tmp_path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")],
)
def test_idx_values_are_big_endian(tmp_path: Path, code: int, dtype: str) -> None:
    array = np.array([[1, -2, 3]], dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


def test_equal_arrays_give_equal_files(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.npz", IMAGES, LABELS)
    write_shard(tmp_path / "b.npz", np.asfortranarray(IMAGES), LABELS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_shard_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        write_shard(tmp_path / "none" / "a.npz", IMAGES, LABELS)


def test_a_users_file_hides_no_installed_module(folder: Path) -> None:
    (folder / "numpy.py").write_text("def load(): return 1")
    assert load_function("numpy.py:load", folder, ModelError)() == 1
    assert sys.modules["numpy"] is np
    assert sys.path[-1] == str(folder)


def test_a_users_file_is_run_once_per_content(folder: Path) -> None:
    one = load_function("source.py:load", folder, ModelError)
    assert load_function("source.py:load", folder, ModelError) is one
    (folder / "source.py").write_text("def load(): return 2")
    assert load_function("source.py:load", folder, ModelError)() == 2


def test_the_callers_kind_of_error_is_raised(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"file\.py:function"):
        load_function("source.load", folder, ModelError)
