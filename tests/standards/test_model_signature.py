"""Signatures over models: made by us and checked by OpenSSF's model-signing, and the other way."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

from command import cw, make_key
from model_signing import hashing, signing, verifying

TOOL = str(pathlib.Path(sys.executable).parent / "model_signing")

# The two orders of names differ for the first three; then an empty file, git's own files, and a name that is not ASCII.
FILES = {
    "a/x": b"1",
    "a.b/y": b"2",
    "a-z": b"3",
    ".hidden": b"",
    ".git/config": b"not signed",
    ".gitattributes": b"not signed",
    "a/.gitignore": b"signed",
    "model-é-\N{SNOWMAN}.safetensors": bytes(range(256)) * 300,
    'quote" back\\slash\nline': b"a name that JSON must escape",
}


class ModelSignature(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cw-standards-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.model = self.folder / "heart"
        for name, content in FILES.items():
            path = self.model / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.private, self.public = make_key(self.folder)
        self.signature = self.folder / "heart.sig"

    def tool(self, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)

    def ours(self, *more: object) -> None:
        cw("model", "sign", self.model, "--key-file", self.private, *more, folder=self.folder)

    def theirs(self, *more: object) -> None:
        done = self.tool("sign", "key", "--private_key", self.private, "--signature", self.signature, *more, self.model)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def tool_accepts(self, *more: object) -> bool:
        done = self.tool("verify", "key", "--public_key", self.public, "--signature", self.signature, *more, self.model)
        return done.returncode == 0

    def we_accept(self, *more: object, ends: int = 0) -> None:
        arguments = ("--signature", self.signature, "--key-file", self.public, *more)
        cw("verify", "signature", self.model, *arguments, folder=self.folder, ends=ends)

    def test_the_tool_accepts_ours_and_refuses_changed_files(self):
        self.ours()
        self.assertTrue(self.tool_accepts())
        (self.model / "a-z").write_bytes(b"4")
        self.assertFalse(self.tool_accepts())

    def test_the_tools_library_and_we_accept_each_others_blake3(self):
        self.ours("--hash", "blake3")
        self.we_accept()
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=self.public)
        verifier.verify(self.model, self.signature)
        self.signature.unlink()
        hashes = hashing.Config().use_file_serialization(hashing_algorithm="blake3")
        hashes.set_ignored_paths(paths=[self.signature], ignore_git_paths=True)
        signer = signing.Config().use_elliptic_key_signer(private_key=self.private)
        signer.set_hashing_config(hashes).sign(self.model, self.signature)
        self.we_accept()
        (self.model / "a-z").write_bytes(b"4")
        self.we_accept(ends=1)

    def test_the_tool_accepts_the_public_key_that_we_write(self):
        self.ours()
        self.public = self.folder / "heart.sig.pub"
        self.assertTrue(self.tool_accepts())

    def test_we_accept_theirs_and_refuse_changed_files(self):
        self.theirs()
        self.we_accept()
        (self.model / "new").write_bytes(b"")
        self.we_accept(ends=1)
        self.we_accept("--ignore-unsigned")
        (self.model / "a-z").write_bytes(b"4")
        self.we_accept("--ignore-unsigned", ends=1)

    def test_a_signature_inside_the_folder_signs_all_but_itself(self):
        self.signature = self.model / "model.sig"
        self.ours("--output", self.signature)
        self.assertTrue(self.tool_accepts())
        self.we_accept()
        self.signature.unlink()
        (self.model / "model.sig.pub").unlink()
        self.theirs()
        self.we_accept()

    def test_what_is_left_out_is_agreed_on(self):
        self.ours("--ignore", "a")
        (self.model / "a" / "x").write_bytes(b"another")
        self.assertTrue(self.tool_accepts())
        self.we_accept()
        self.theirs("--ignore-paths", self.model / "a")
        (self.model / "a" / "x").write_bytes(b"yet another")
        self.we_accept()

    def test_links_that_were_followed_are_followed(self):
        (self.model / "link").symlink_to("a-z")
        self.theirs("--allow_symlinks")
        self.we_accept()
        self.signature.unlink()
        self.ours("--follow-links")
        self.assertTrue(self.tool_accepts("--allow_symlinks"))

    def test_another_key_is_refused_by_both(self):
        _, self.public = make_key(self.folder, "other")
        self.ours()
        self.assertFalse(self.tool_accepts())
        self.we_accept(ends=1)

    def test_a_flipped_bit_of_the_payload_is_refused_by_both(self):
        self.ours()
        text = self.signature.read_text()
        at = text.index('"payload":"') + 200
        self.signature.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
        self.assertFalse(self.tool_accepts())
        self.we_accept(ends=1)


if __name__ == "__main__":
    unittest.main()
