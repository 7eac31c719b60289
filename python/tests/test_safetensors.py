"""Files of arrays, and the vectors that Rust and Solidity read too."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as reference

import counterweight as cw
from counterweight import _native

VECTORS = Path(__file__).parents[2] / "testdata"


def test_arrays_read_back_in_their_order_and_shapes() -> None:
    arrays = {"z": np.arange(6.0).reshape(2, 3), "a": np.int64(7), "m": np.ones((2, 1, 2), np.float32)}
    read = cw.load(cw.save(arrays))
    assert list(read) == ["z", "a", "m"]
    for name, value in arrays.items():
        assert read[name].shape == np.shape(value)
        assert np.array_equal(read[name], value)
        assert read[name].dtype == np.float32
    read["z"] += 1  # Its own memory, free to change.


def test_transposed_arrays_are_written_in_rows() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    assert np.array_equal(cw.load(cw.save({"a": array}))["a"], array)


@pytest.mark.parametrize("spoil", [lambda b: b[:7], lambda b: b[:20], lambda b: b[:-1], lambda b: b"\xff" * 16])
def test_spoilt_files_are_refused(spoil: object) -> None:
    with pytest.raises(ValueError, match="not a safetensors file"):
        cw.load(spoil(cw.save({"a": np.zeros(3)})))  # type: ignore[operator]


def test_the_reference_package_reads_ours_and_we_its(tmp_path: Path) -> None:
    arrays = {"w": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32), "b": np.zeros(3, np.float32)}
    read = reference.load(cw.save(arrays))
    assert {name: value.tolist() for name, value in read.items()} == {k: v.tolist() for k, v in arrays.items()}
    cw.save_file(cw.load(reference.save(arrays)), tmp_path / "model.safetensors")
    assert np.array_equal(cw.load_file(tmp_path / "model.safetensors")["w"], arrays["w"])


def test_a_model_has_one_file_only() -> None:
    one = _native.canonical_model(cw.save({"b": np.zeros(1), "a": np.ones(2)}), ["a", "b"])
    other = _native.canonical_model(cw.save({"a": np.ones(2), "b": np.zeros(1)}), ["a", "b"])
    assert one == other
    assert _native.digest(one) == _native.digest(other)
    assert list(cw.load(one)) == ["a", "b"]


def test_updates_are_those_of_the_shared_vectors() -> None:
    records = json.loads((VECTORS / "update-v1.json").read_text())["records"]
    assert records
    for record in records:
        data = bytes.fromhex(record["bytes"])
        assert _native.digest(data) == record["digest"]
        wanted = [record[name] for name in ("study", "round", "member", "base", "examples", "coordinates")]
        assert list(_native.read_update(data)) == wanted
        with pytest.raises(cw.StudyError):
            _native.read_update(data + b"\0")


def test_inclusion_is_that_of_the_shared_vectors() -> None:
    cases = json.loads((VECTORS / "rfc6962-inclusion.json").read_text())["cases"]
    assert {case["valid"] for case in cases} == {True, False}

    def digest(text: str) -> bytes:
        return bytes.fromhex(text.removeprefix("0x"))

    for case in cases:
        path = [digest(step) for step in case["path"]]
        leaf, root = digest(case["leaf"]), digest(case["root"])
        included = _native.verify_inclusion(leaf, case["index"], case["size"], path, root)
        assert included is case["valid"], case
