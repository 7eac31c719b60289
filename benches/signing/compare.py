"""Sign, verify and hash the same model with both sides: python compare.py OUR_PROGRAM."""

import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

SHARDS, SHARD_BYTES = 16, 128 << 20
RUNS = 3
BIN = pathlib.Path(sys.executable).parent


def make_model(folder: pathlib.Path) -> None:
    """Shards as checkpoints have them; what is in them does not matter to a hash."""
    folder.mkdir()
    block = random.Random(42).randbytes(8 << 20)
    for shard in range(SHARDS):
        with open(folder / f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors", "wb") as file:
            for part in range(SHARD_BYTES // len(block)):
                file.write(bytes([shard, part]) + block[2:])


def run(*command: object, answers: str = "") -> dict:
    """Processor seconds of the whole process and its children, and seconds of the clock."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or answers not in done.stdout + done.stderr:
        raise SystemExit(f"{command[0]} ended with status {done.returncode}: {done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": cpu, "wall_s": wall, "output": done.stdout}


def best(work) -> dict:
    """The run with the least processor time: other load only ever adds."""
    return min((work() for _ in range(RUNS)), key=lambda ran: ran["cpu_s"])


# Its command hashes with SHA-256 only; its library with BLAKE3 too.
LIBRARY_SIGN = """
import pathlib, sys
from model_signing import hashing, signing
key, signature, model = map(pathlib.Path, sys.argv[1:])
hashes = hashing.Config().use_file_serialization(hashing_algorithm="blake3")
signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(hashes).sign(model, signature)
"""
LIBRARY_VERIFY = """
import pathlib, sys
from model_signing import verifying
key, signature, model = map(pathlib.Path, sys.argv[1:])
verifying.Config().use_elliptic_key_verifier(public_key=key).verify(model, signature)
"""


def main() -> int:
    program = pathlib.Path(sys.argv[1]).resolve()
    tool, b3sum = BIN / "model_signing", BIN / "b3sum"
    with tempfile.TemporaryDirectory(prefix="cw-signing-") as name:
        folder = pathlib.Path(name)
        model, private, public = folder / "model", folder / "key.pem", folder / "key.pub"
        make_model(model)
        openssl = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
        subprocess.run(openssl, check=True, capture_output=True)
        subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
        ours, theirs = folder / "ours.sig", folder / "theirs.sig"
        shards = sorted(model.iterdir())
        run(b3sum, *shards)  # All of it in the page cache, for both sides.

        def our_sign(*more: object) -> dict:
            return run(program, "model", "sign", model, "--key-file", private, "--output", ours, "--yes", *more)

        def our_verify(signature: pathlib.Path) -> dict:
            return run(program, "verify", "signature", model, "--signature", signature, "--key-file", public)

        def library(script: str, key: pathlib.Path, signature: pathlib.Path) -> dict:
            return run(sys.executable, "-c", script, key, signature, model)

        # Each side checks the other's signature: they interchange.
        timed = {
            "sign": (
                best(our_sign),
                best(lambda: run(tool, "sign", "key", "--private_key", private, "--signature", theirs, model)),
            ),
            "verify": (
                best(lambda: our_verify(theirs)),
                best(lambda: run(tool, "verify", "key", "--public_key", public, "--signature", ours, model)),
            ),
        }
        timed["sign_blake3"] = (
            best(lambda: our_sign("--hash", "blake3")),
            best(lambda: library(LIBRARY_SIGN, private, theirs)),
        )
        timed["verify_blake3"] = (
            best(lambda: our_verify(theirs)),
            best(lambda: library(LIBRARY_VERIFY, public, ours)),
        )
        digest = content_digest(program, model)
        timed["content"] = (
            best(lambda: run(program, "verify", "content", model, digest, answers="yes")),
            best(lambda: run(b3sum, *shards)),
        )
    print(f"{SHARDS} shards of {SHARD_BYTES >> 20} MiB, in the page cache, best of {RUNS}; processor seconds of whole processes")
    print(f"{'model-signing 1.1.1':34}{'ours':>10}{'peer':>10}{'ratio':>8}{'wall, ours':>13}{'wall, peer':>13}")
    rows = {
        "sign": "SHA-256: sign, its command",
        "verify": "SHA-256: verify, its command",
        "sign_blake3": "BLAKE3: sign, its library",
        "verify_blake3": "BLAKE3: verify, its library",
        "content": "BLAKE3 again, b3sum",
    }
    for kind, (mine, peer) in timed.items():
        times = peer["cpu_s"] / mine["cpu_s"]
        print(
            f"{rows[kind]:34}{mine['cpu_s']:>8.2f} s{peer['cpu_s']:>8.2f} s{times:>7.2f}x{mine['wall_s']:>11.2f} s{peer['wall_s']:>11.2f} s"
        )

    def ratio(kind: str, of: str) -> float:
        return round(timed[of][1]["cpu_s"] / timed[kind][0]["cpu_s"], 2)

    ratios = {f"{kind}_cpu": ratio(kind, kind) for kind in timed if kind != "content"}
    ratios |= {
        "sign_blake3_to_command_cpu": ratio("sign_blake3", "sign"),
        "verify_blake3_to_command_cpu": ratio("verify_blake3", "verify"),
        "b3sum": ratio("content", "content"),
    }
    passed = True
    for claim, holds in (
        ("SHA-256: sign and verify in at most a third of its command's", min(ratios["sign_cpu"], ratios["verify_cpu"]) >= 3),
        (
            "BLAKE3: sign and verify in at most a third of its command's, which has SHA-256 only",
            min(ratios["sign_blake3_to_command_cpu"], ratios["verify_blake3_to_command_cpu"]) >= 3,
        ),
        ("BLAKE3 within 1.5 times b3sum", ratios["b3sum"] >= 1 / 1.5),
    ):
        print("yes" if holds else "no ", claim)
        passed &= holds
    figures = {}
    for kind, (mine, peer) in timed.items():
        figures |= {f"{kind}_cpu_s": round(mine["cpu_s"], 3), f"{kind}_wall_s": round(mine["wall_s"], 3)}
        figures |= {f"peer_{kind}_cpu_s": round(peer["cpu_s"], 3), f"peer_{kind}_wall_s": round(peer["wall_s"], 3)}
    print(json.dumps({"bench": "signing", "figures": figures, "ratios": ratios}))
    return 0 if passed else 1


def content_digest(program: pathlib.Path, model: pathlib.Path) -> str:
    """The model's digest: asked with another one, `cw` says what it is."""
    command = [str(program), "verify", "content", str(model), "blake3:" + "0" * 64, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["digest"]


if __name__ == "__main__":
    sys.exit(main())
