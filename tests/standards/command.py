"""Runs `cw`, and OpenSSL for keys. `CW` names another binary than the one that `cargo test` built."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CW = os.environ.get("CW", str(ROOT / TARGET / "debug" / "cw"))


class Ran:
    """What a command left behind."""

    def __init__(self, done: subprocess.CompletedProcess):
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    def json(self) -> dict:
        return json.loads(self.stdout)


def cw(*arguments: object, folder: pathlib.Path, ends: int = 0) -> Ran:
    """Runs `cw` in a folder, with a home of its own beside it, and holds its exit status to a number."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CW_")}
    done = subprocess.run(
        [CW, *map(str, arguments)],
        cwd=folder,
        env=kept | {"CW_HOME": str(folder.parent / "home")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == ends, f"cw {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return Ran(done)


def make_key(folder: pathlib.Path, name: str = "key") -> tuple[pathlib.Path, pathlib.Path]:
    """A P-256 key pair of OpenSSL: private and public file."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True, capture_output=True
    )
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public
