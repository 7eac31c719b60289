"""Exports of a trained study, each read by the tool of its format."""

import base64
import io
import json
import pathlib
import shutil
import tempfile
import unittest

import defusedxml.ElementTree
import jsonschema
import mlcroissant
import numpy
import onnx
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
from onnx.reference import ReferenceEvaluator
from prov.model import ProvActivity, ProvDocument
from safetensors.numpy import load_file
from spdx_python_model import v3_0_1 as spdx

from command import ROOT, cw

# Column names of the example hold nothing special, so one of these replaces a dataset's description.
HOSTILE = "\"'--- : [a](b) |<i>`*_{}&# é\N{SNOWMAN}\\n"

# The metadata schema of ERC-721, with the descriptions left out; it requires nothing, so the test does.
ERC721 = {
    "title": "Asset Metadata",
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("name", "description", "image")},
    "required": ["name", "description", "image"],
}


class Exports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cw-standards-")
        cls.addClassCleanup(folder.cleanup)
        cls.study = pathlib.Path(folder.name) / "study"
        shutil.copytree(ROOT / "examples/breast-cancer", cls.study, ignore=shutil.ignore_patterns(".counterweight", ".venv"))
        config = cls.study / "counterweight.toml"
        text = config.read_text()
        hostile = json.dumps(HOSTILE, ensure_ascii=False)
        for old, new in (("rounds = 15", "rounds = 2"), ('"A general hospital: 180 biopsies"', hostile)):
            assert old in text, old
            text = text.replace(old, new)
        config.write_text(text)
        cw("train", folder=cls.study)
        # A second version, made from the same datasets.
        cw("train", folder=cls.study)

    def export(self, noun: str, thing: str, form: str, name: str) -> pathlib.Path:
        file = self.study / name
        cw(noun, "export", thing, "--format", form, "--output", file, "--yes", folder=self.study)
        return file

    def test_token_metadata_has_the_schema_of_erc_721_and_a_picture(self):
        for noun, thing in (("model", "tumour@1"), ("model", "tumour@2"), ("dataset", "clinic-a@1")):
            metadata = json.loads(self.export(noun, thing, "nft", "token.json").read_text())
            jsonschema.validate(metadata, ERC721)
            self.assertEqual(metadata["name"], thing)
            self.assertLessEqual(len(metadata["description"]), 1000)
            for trait in metadata["attributes"]:
                self.assertIsInstance(trait["trait_type"], str)
                self.assertIsInstance(trait["value"], (str, int, float))
            kind, picture = metadata["image"].split(",", 1)
            self.assertEqual(kind, "data:image/svg+xml;base64")
            root = defusedxml.ElementTree.fromstring(base64.b64decode(picture, validate=True))
            space = "{http://www.w3.org/2000/svg}"
            self.assertEqual(root.attrib["viewBox"], "0 0 1000 1000")
            tags = {element.tag.removeprefix(space) for element in root.iter()}
            self.assertLessEqual(tags, {"svg", "title", "rect", "path", "text"})
            names = {element.text for element in root.iter(space + "text")}
            self.assertIn(thing.split("@")[0], names)
            parents = {one["name"].split("@")[0] for one in metadata["properties"]["parents"]}
            self.assertEqual(bool(parents), noun == "model")
            self.assertLessEqual(parents, names)
        versions = json.loads(self.export("model", "tumour@1", "nft", "token.json").read_text())["properties"]
        self.assertEqual([one["version"] for one in versions["versions"]], [1, 2])
        self.assertEqual(versions["replaced_by"], versions["versions"][1]["asset"])

    def test_spdx_fits_its_model_and_names_only_what_is_there(self):
        for noun, thing in (("model", "tumour@2"), ("dataset", "clinic-a")):
            document = json.loads(self.export(noun, thing, "spdx", "asset.spdx.json").read_text())
            objects = spdx.SHACLObjectSet()
            spdx.JSONLDDeserializer().read(io.StringIO(json.dumps(document)), objects)
            # Names that lead nowhere; writing then holds every object to what its class requires.
            self.assertEqual(objects.link(), set())
            written = io.BytesIO()
            spdx.JSONLDSerializer().write(objects, written)
            self.assertEqual(len(json.loads(written.getvalue())["@graph"]), len(document["@graph"]))
            (described,) = objects.foreach_type(spdx.SpdxDocument)
            (root,) = described.rootElement
            kind = {"model": spdx.ai_AIPackage, "dataset": spdx.dataset_DatasetPackage}[noun]
            self.assertIsInstance(root, kind)
            # What the profiles for AI and datasets ask beyond the classes.
            packages = [*objects.foreach_type(spdx.ai_AIPackage), *objects.foreach_type(spdx.dataset_DatasetPackage)]
            for package in packages:
                for name in ("suppliedBy", "releaseTime", "software_downloadLocation", "software_packageVersion", "software_primaryPurpose"):
                    self.assertTrue(getattr(package, name), name)
                links = [one for one in objects.foreach_type(spdx.Relationship) if one.from_ is package]
                of = {one.relationshipType.rsplit("/", 1)[1]: list(one.to) for one in links}
                self.assertLessEqual({"hasDeclaredLicense", "hasConcludedLicense"}, set(of))
                if package is root and noun == "model":
                    data = {one for one in packages if isinstance(one, spdx.dataset_DatasetPackage)}
                    self.assertEqual(set(of["trainedOn"]), data)
            self.assertEqual(len(packages) > 1, noun == "model")

    def test_croissant_is_valid_and_gives_the_rows(self):
        source = self.study / "data/clinic-a.csv"
        file = self.export("dataset", "clinic-a", "croissant", "data/clinic-a.croissant.json")
        dataset = mlcroissant.Dataset(jsonld=file)
        self.assertEqual(list(dataset.metadata.issues.errors), [])
        self.assertEqual(list(dataset.metadata.issues.warnings), [])
        self.assertEqual(dataset.metadata.description, HOSTILE)
        records = list(dataset.records("rows"))
        lines = source.read_text().splitlines()
        self.assertEqual(len(records), len(lines) - 1)
        header, first = lines[0].split(","), lines[1].split(",")
        got = [records[0][f"rows/{index}"] for index in range(len(header))]
        for expected, value in zip(first, got):
            if isinstance(value, bytes):
                self.assertEqual(value.decode(), expected)
            else:
                self.assertAlmostEqual(float(value), float(expected))

    def test_croissant_without_the_file_is_valid_too(self):
        away = self.study / "clinic-b.away"
        shutil.move(self.study / "data/clinic-b.csv", away)
        try:
            file = self.export("dataset", "clinic-b", "croissant", "clinic-b.croissant.json")
        finally:
            shutil.move(away, self.study / "data/clinic-b.csv")
        dataset = mlcroissant.Dataset(jsonld=file)
        self.assertEqual(list(dataset.metadata.issues.errors), [])
        self.assertNotIn("recordSet", json.loads(file.read_text()))

    def test_croissant_notices_a_changed_file(self):
        file = self.export("dataset", "clinic-c", "croissant", "data/clinic-c.croissant.json")
        source = self.study / "data/clinic-c.csv"
        whole = source.read_bytes()
        source.write_bytes(whole.replace(b"1", b"2", 1))
        try:
            with self.assertRaises(Exception):
                list(mlcroissant.Dataset(jsonld=file).records("rows"))
            # And we describe no file that is not the registered one.
            cw("dataset", "export", "clinic-c", "--output", "-", folder=self.study, ends=1)
        finally:
            source.write_bytes(whole)

    def test_bills_of_materials_are_strictly_valid(self):
        for form, version in (("ml-bom", SchemaVersion.V1_6), ("ml-bom-1.7", SchemaVersion.V1_7)):
            text = self.export("model", "tumour@2", form, "bom.json").read_text()
            self.assertIsNone(JsonStrictValidator(version).validate_str(text))
            bom = json.loads(text)
            refs = {component["bom-ref"] for component in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
            self.assertEqual({dependency["ref"] for dependency in bom["dependencies"]}, refs)
            for dependency in bom["dependencies"]:
                self.assertLessEqual(set(dependency["dependsOn"]), refs)
            datasets = bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]
            self.assertTrue(datasets)
            self.assertLessEqual({dataset["ref"] for dataset in datasets}, refs)
            bom["components"][0]["surprise"] = 1
            self.assertIsNotNone(JsonStrictValidator(version).validate_str(json.dumps(bom)))

    def test_lineage_is_read_and_written_again_the_same(self):
        for noun, thing in (("model", "tumour@2"), ("dataset", "clinic-a")):
            file = self.export(noun, thing, "prov", "lineage.json")
            document = ProvDocument.deserialize(str(file), format="json")
            again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
            self.assertEqual(document, again)
            # Nothing was lost on the way in.
            written = json.loads(file.read_text())
            count = sum(len(section) for kind, section in written.items() if kind != "prefix")
            self.assertEqual(len(document.get_records()), count)
        document = ProvDocument.deserialize(str(self.export("model", "tumour@2", "prov", "lineage.json")), format="json")
        # The run and its two rounds.
        self.assertEqual(len(list(document.get_records(ProvActivity))), 3)

    def test_the_card_is_read_by_the_hub(self):
        file = self.export("model", "tumour@2", "card", "README.md")
        card = ModelCard.load(file)
        data = card.data.to_dict()
        self.assertEqual(data["license"], "other")
        self.assertEqual(data["datasets"][0], "clinic-a@1")
        self.assertEqual(data["counterweight"]["rounds"], 2)
        self.assertTrue(data["counterweight"]["content"].startswith("blake3:"))
        results = card.data.eval_results
        self.assertIn("accuracy", {result.metric_type for result in results})
        self.assertEqual({result.task_type for result in results}, {"tabular-classification"})
        self.assertNotIn("<i>", card.text)

    def test_annex_iv_has_every_point_and_names_its_gaps(self):
        pack = json.loads(self.export("model", "tumour@2", "annex-iv-json", "annex.json").read_text())
        points = [item["point"] for item in pack["items"]]
        self.assertEqual(
            points, [f"1({c})" for c in "abcdefgh"] + [f"2({c})" for c in "abcdefgh"] + [str(n) for n in range(3, 10)]
        )
        text = self.export("model", "tumour@2", "annex-iv", "annex.md").read_text()
        for item in pack["items"]:
            self.assertTrue(item["gap"])
            self.assertIn(f"## {item['point']} ", text)
        self.assertTrue(any(fact["name"] == "clinic-a@1" for fact in pack["items"][11]["facts"]))

    def test_the_model_is_read_by_safetensors(self):
        file = self.export("model", "tumour@2", "safetensors", "tumour.safetensors")
        tensors = load_file(file)
        self.assertEqual(tensors["layers.0.weight"].shape, (1, 30))

    def test_the_graph_is_valid_onnx_and_gives_what_the_parameters_do(self):
        tensors = load_file(self.export("model", "tumour@2", "safetensors", "tumour.safetensors"))
        file = self.export("model", "tumour@2", "onnx", "tumour.onnx")
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        rows = numpy.random.default_rng(1).normal(size=(5, 30)).astype(numpy.float32)
        (probabilities,) = ReferenceEvaluator(graph).run(None, {"rows": rows})
        logits = rows @ tensors["layers.0.weight"].T + tensors["layers.0.bias"]
        numpy.testing.assert_allclose(probabilities, 1 / (1 + numpy.exp(-logits)), rtol=1e-5)
        (content,) = (entry.value for entry in graph.metadata_props if entry.key == "counterweight/content")
        self.assertTrue(content.startswith("blake3:"), content)


if __name__ == "__main__":
    unittest.main()
