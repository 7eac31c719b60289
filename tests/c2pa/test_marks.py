"""Files that `cw c2pa` marked, judged by `cw` and by the reference implementation's own reader."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import c2pa

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/standards"))
# `cw` looks for its helper beside itself, then on PATH.
HELPER = pathlib.Path(os.environ["C2PA_TARGET"]) / "debug"
os.environ["PATH"] = f"{HELPER}{os.pathsep}{os.environ['PATH']}"

from command import CW, cw  # noqa: E402

KINDS = ("png", "jpg", "wav", "mp3", "mp4")
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
LABEL = "org.counterweight.generated"


def words(answer: dict) -> dict[str, str]:
    return {check["check"]: check["verdict"] for check in answer["checks"]}


class Marks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cw-c2pa-")
        cls.addClassCleanup(folder.cleanup)
        cls.study = pathlib.Path(folder.name) / "study"
        shutil.copytree(ROOT / "examples/breast-cancer", cls.study, ignore=shutil.ignore_patterns(".counterweight", ".venv"))
        config = cls.study / "counterweight.toml"
        config.write_text(config.read_text().replace("rounds = 15", "rounds = 2"))
        cw("train", folder=cls.study)
        cw("c2pa", "credential", "signer", "--name", "A test", folder=cls.study)
        subprocess.run([HELPER / "examples/media", cls.study], check=True)
        cls.owner = json.loads(cw("model", "show", "tumour", "--json", folder=cls.study).stdout)["owner"]
        accounts = json.loads(cw("key", "list", "--json", folder=cls.study).stdout)["keys"]
        cls.key = next(key["name"] for key in accounts if key["account"].lower() == cls.owner.lower())

    def sign(self, kind: str, *more: object, ends: int = 0) -> pathlib.Path:
        marked = self.study / f"marked.{kind}"
        cw(
            "c2pa", "sign", f"media.{kind}", "--output", marked, "--model", "tumour", "--certificates", "signer/certificates.pem",
            "--key-file", "signer/key.pem", "--yes", *more, folder=self.study, ends=ends,
        )  # fmt: skip
        return marked

    def verify(self, file: pathlib.Path, *more: object, ends: int = 0) -> dict:
        return cw("c2pa", "verify", file, "--json", *more, folder=self.study, ends=ends).json()

    def read(self, file: pathlib.Path, trusting: bool) -> dict:
        """What the public reader says."""
        trust = {"user_anchors": (self.study / "signer/authority.pem").read_text()} if trusting else {}
        settings = c2pa.Settings.from_dict({"trust": trust, "verify": {"remote_manifest_fetch": False}})
        with c2pa.Context(settings) as context, c2pa.Reader(str(file), context=context) as reader:
            return json.loads(reader.json())

    def test_the_public_reader_accepts_every_kind(self):
        for kind in KINDS:
            with self.subTest(kind):
                marked = self.sign(kind)
                report = self.read(marked, trusting=False)
                self.assertEqual(report["validation_state"], "Valid")
                codes = [status["code"] for status in report["validation_results"]["activeManifest"]["failure"]]
                self.assertEqual(codes, ["signingCredential.untrusted"])
                report = self.read(marked, trusting=True)
                self.assertEqual(report["validation_state"], "Trusted")
                manifest = report["manifests"][report["active_manifest"]]
                said = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
                (action,) = said["c2pa.actions.v2"]["actions"]
                self.assertEqual((action["action"], action["digitalSourceType"]), ("c2pa.created", GENERATED))
                self.assertEqual(action["softwareAgent"]["name"], "tumour")
                self.assertEqual(said[LABEL]["model"]["chain_id"], "31337")
                self.assertEqual(manifest["claim_generator_info"][0]["name"], "cw")

    def test_cw_says_what_holds_what_is_assumed_and_what_is_missing(self):
        marked = self.sign("png")
        answer = self.verify(marked, ends=1)
        self.assertEqual(answer["verdict"], "unknown")
        self.assertEqual(words(answer), {"manifest": "yes", "bytes": "yes", "model": "yes", "credential": "unknown", "generated": "yes"})
        answer = self.verify(marked, "--trust", "signer/authority.pem", "--original", "media.png")
        self.assertEqual((answer["verdict"], words(answer)["original"]), ("yes", "yes"))
        self.assertIn("--registry", " ".join(answer["assumed"]))
        registry = answer["generated"]["model"]["registry"]
        self.assertEqual(self.verify(marked, "--trust", "signer/authority.pem", "--registry", registry)["assumed"], [])
        wrong = self.verify(marked, "--trust", "signer/authority.pem", "--registry", "0x" + "11" * 20, ends=1)
        self.assertEqual(words(wrong)["model"], "no")
        self.assertEqual(words(self.verify(marked, "--original", "media.wav", ends=1))["original"], "no")
        # Outside of a project there is no chain to ask, and that is said.
        with tempfile.TemporaryDirectory() as elsewhere:
            folder = pathlib.Path(elsewhere) / "empty"
            folder.mkdir()
            answer = cw("c2pa", "verify", marked, "--trust", self.study / "signer/authority.pem", "--json", folder=folder).json()
            self.assertNotIn("model", words(answer))
            self.assertIn("--network", " ".join(answer["assumed"]))

    def test_the_owner_of_the_model_answers_for_the_key(self):
        answer = self.verify(self.sign("jpg", "--vouch", self.key))
        self.assertEqual((answer["verdict"], words(answer)["credential"]), ("yes", "yes"))
        other = "dev-7" if self.key != "dev-7" else "dev-8"
        self.sign("jpg", "--vouch", other, ends=1)

    def test_a_decision_and_a_prompt_go_along(self):
        digest = json.loads(
            cw(
                "c2pa", "sign", "media.wav", "--output", "none.wav", "--model", "tumour", "--certificates", "signer/certificates.pem",
                "--key-file", "signer/key.pem", "--dry-run", "--json", folder=self.study,
            ).stdout
        )["original"]  # fmt: skip
        content = json.loads(cw("model", "show", "tumour", "--json", folder=self.study).stdout)["content"]
        profile = {"endpoint": "painter.example", "model": content, "outputs": [{"name": "file", "type": "text"}]}
        (self.study / "painter.json").write_text(json.dumps(profile))
        decisions = [{"subject": "a", "generated": True, "outputs": {"file": name}} for name in (digest, "another")]
        (self.study / "decisions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in decisions))
        cw(
            "decision", "record", "decisions.jsonl", "--log", "decisions", "--origin", "painter.example/log", "--endpoint", "painter.json",
            folder=self.study,
        )  # fmt: skip
        key = (self.study / "decisions/log.pub").read_text().splitlines()[0]
        (self.study / "prompt.txt").write_text("a heron at dawn")
        # The profile is entry 0, so the decision that names another file is entry 2.
        self.sign("wav", "--decision", 2, "--log", "decisions", "--field", "file", ends=2)
        marked = self.sign(
            "wav", "--decision", 1, "--log", "decisions", "--field", "file", "--prompt", "prompt.txt", "--prompt-opening", "opened.json",
        )  # fmt: skip
        self.assertNotIn(b"heron", marked.read_bytes())
        asked = ("--trust", "signer/authority.pem", "--vkey", key, "--prompt-opening", "opened.json")
        answer = self.verify(marked, *asked)
        self.assertEqual((words(answer)["decision"], words(answer)["prompt"]), ("yes", "yes"))
        opened = self.study / "opened.json"
        opened.write_text(opened.read_text().replace("heron", "crane"))
        self.assertEqual(words(self.verify(marked, *asked, ends=1))["prompt"], "no")
        self.assertEqual(words(self.verify(self.sign("wav"), *asked, ends=1))["decision"], "unknown")

    def test_what_was_edited_names_what_it_was_made_from(self):
        parent = self.sign("png").rename(self.study / "parent.png")
        edited = self.sign("jpg", "--parent", parent, "--ingredient", "media.wav")
        answer = self.verify(edited, "--trust", "signer/authority.pem")
        self.assertEqual(answer["verdict"], "yes")
        self.assertIn("parent.png", " ".join(answer["assumed"]))
        report = self.read(edited, trusting=True)
        self.assertEqual(report["validation_state"], "Trusted")
        titles = {one["title"]: one["relationship"] for one in report["manifests"][report["active_manifest"]]["ingredients"]}
        self.assertEqual(titles, {"parent.png": "parentOf", "media.wav": "inputTo"})

    def test_files_without_a_mark_with_a_spoilt_one_or_of_no_kind(self):
        self.assertEqual(words(self.verify(self.study / "media.png", ends=1)), {"manifest": "unknown"})
        marked = self.sign("png")
        data = bytearray(marked.read_bytes())
        data[-20] ^= 1
        spoilt = self.study / "spoilt.png"
        spoilt.write_bytes(data)
        answer = self.verify(spoilt, "--trust", "signer/authority.pem", ends=1)
        self.assertEqual((answer["verdict"], answer["codes"]), ("no", ["CW5407"]))
        self.assertIn("assertion.dataHash.mismatch", json.dumps(answer["checks"]))
        (self.study / "notes.txt").write_text("no media")
        refused = cw("c2pa", "verify", "notes.txt", "--json", folder=self.study, ends=2).json()
        self.assertEqual(refused["error"]["code"], "CW5406")
        shown = cw("c2pa", "show", marked, "--json", folder=self.study).json()
        self.assertEqual(shown["state"], "valid")
        self.assertEqual(len(shown["manifests"]["manifests"]), 1)

    def test_without_the_helper_an_error_says_how_to_get_it(self):
        kept = {name: value for name, value in os.environ.items() if not re.match("CW_|PATH$", name)}
        done = subprocess.run([CW, "c2pa", "show", "media.png"], cwd=self.study, env=kept | {"PATH": "/nowhere"}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("error[CW5405]", done.stderr)
        self.assertIn("cargo install", done.stderr)


if __name__ == "__main__":
    unittest.main()
