"""What others wrote, read by us: safetensors files and cards of the Hugging Face hub."""

import pathlib
import tempfile
import unittest

import numpy as np
from blake3 import blake3
from huggingface_hub import ModelCard, ModelCardData
from safetensors.numpy import save_file

from command import cw


class Imports(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cw-standards-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "model"
        self.folder.mkdir()

    def inspect(self, ends: int = 0) -> dict:
        return cw("model", "inspect", self.folder, "--json", folder=self.folder, ends=ends).json()

    def test_every_tensor_has_the_identity_that_the_format_says(self):
        random = np.random.default_rng(1)
        tensors = {
            "layers.0.weight": random.standard_normal((3, 5), np.float32),
            "half": random.standard_normal(7).astype(np.float16),
            "count": np.array(3, np.int64),
            "nothing": np.zeros((0, 4), np.uint8),
            "a name with é and \n": random.integers(0, 2, (2, 2), np.uint8).astype(bool),
        }
        save_file(tensors, self.folder / "model.safetensors", metadata={"format": "np"})
        [file] = self.inspect()["files"]
        self.assertEqual(file["content"], "blake3:" + blake3((self.folder / "model.safetensors").read_bytes()).hexdigest())
        self.assertEqual(file["metadata"], {"format": "np"})
        types = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
        self.assertEqual({tensor["name"] for tensor in file["tensors"]}, set(tensors))
        for tensor in file["tensors"]:
            array = tensors[tensor["name"]]
            head = f"counterweight/tensor/v1\n{types[array.dtype.name]} {','.join(map(str, array.shape))}\n"
            self.assertEqual(tensor["identity"], "blake3:" + blake3(head.encode() + array.tobytes()).hexdigest())

    def test_a_card_of_the_hub_is_read(self):
        data = ModelCardData(
            license="apache-2.0", base_model="a/b", datasets=["c/d", "e: f"], language=["en", "no"], tags=["x # y"], library_name="z"
        )
        card = ModelCard.from_template(data, model_id="m", template_str="---\n{{ card_data }}\n---\n# {{ model_id }}\n")
        card.save(self.folder / "README.md")
        claims = self.inspect()["claims"]
        self.assertEqual(claims["licence"], ["apache-2.0"])
        self.assertEqual(claims["base_model"], ["a/b"])
        self.assertEqual(claims["datasets"], ["c/d", "e: f"])
        self.assertEqual(claims["language"], ["en", "no"])
        self.assertEqual(claims["tags"], ["x # y"])

    def test_hostile_files_are_refused_with_their_code(self):
        for name, content in (
            ("model.safetensors", (2**63).to_bytes(8, "little") + b"{}"),
            ("README.md", b"---\na: &x [1]\nb: *x\n---\n"),
        ):
            (self.folder / name).write_bytes(content)
            self.assertEqual(self.inspect(ends=2)["error"]["code"], "CW5305")
            (self.folder / name).unlink()


if __name__ == "__main__":
    unittest.main()
