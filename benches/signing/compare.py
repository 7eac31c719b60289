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
        timed = {
            "sign": (
                best(lambda: run(program, "model", "sign", model, "--key-file", private, "--output", ours, "--yes")),
                best(lambda: run(tool, "sign", "key", "--private_key", private, "--signature", theirs, model)),
            ),
            # Each side checks the other's signature: they interchange.
            "verify": (
                best(lambda: run(program, "verify", "signature", model, "--signature", theirs, "--key-file", public)),
                best(lambda: run(tool, "verify", "key", "--public_key", public, "--signature", ours, model)),
            ),
        }
        digest = content_digest(program, model)
        timed["content"] = (
            best(lambda: run(program, "verify", "content", model, digest, answers="yes")),
            best(lambda: run(b3sum, *shards)),
        )
    print(f"{SHARDS} shards of {SHARD_BYTES >> 20} MiB, in the page cache, best of {RUNS}; processor seconds of whole processes")
    print(f"{'':34}{'ours':>10}{'peer':>10}{'ratio':>8}{'wall, ours':>13}{'wall, peer':>13}")
    rows = {"sign": "sign, model-signing 1.1.1", "verify": "verify, model-signing 1.1.1", "content": "BLAKE3 again, b3sum"}
    for kind, (mine, peer) in timed.items():
        ratio = peer["cpu_s"] / mine["cpu_s"]
        print(
            f"{rows[kind]:34}{mine['cpu_s']:>8.2f} s{peer['cpu_s']:>8.2f} s{ratio:>7.2f}x{mine['wall_s']:>11.2f} s{peer['wall_s']:>11.2f} s"
        )
    ratios = {
        "sign_cpu": round(timed["sign"][1]["cpu_s"] / timed["sign"][0]["cpu_s"], 2),
        "verify_cpu": round(timed["verify"][1]["cpu_s"] / timed["verify"][0]["cpu_s"], 2),
        "b3sum": round(timed["content"][1]["cpu_s"] / timed["content"][0]["cpu_s"], 2),
    }
    passed = True
    for claim, holds in (
        ("sign in at most a third of model-signing's processor seconds", ratios["sign_cpu"] >= 3),
        ("verify in at most a third", ratios["verify_cpu"] >= 3),
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
