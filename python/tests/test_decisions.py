"""Decisions recorded with a real ``cw decision serve``, and with receivers that lie."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from counterweight.decisions import Decision, ReceiptError, Recorder, RecordingError

ROOT = Path(__file__).parents[2]
CW = os.environ.get("CW_BINARY", str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "cw"))
TOKEN = "a-token-of-the-clinic"
PROFILE = {
    "endpoint": "loans.example/score",
    "model": "blake3:" + "04" * 32,
    "inputs": [{"name": "age", "type": "integer"}],
    "outputs": [{"name": "score", "type": "number"}],
}

needs_cw = pytest.mark.skipif(shutil.which(CW) is None, reason=f"{CW} is not built: cargo test --no-run")


@contextlib.contextmanager
def receiver(folder: Path, *more: str, profile: object = PROFILE) -> Iterator[dict[str, Any]]:
    """What a receiver says of itself."""
    (folder / "loans.json").write_text(json.dumps(profile))
    (folder / "tokens").write_text(TOKEN + "\n")
    arguments = ["--log", "decisions", "--origin", "loans.example/decisions", "--endpoint", "loans.json"]
    server = subprocess.Popen(
        [CW, "decision", "serve", *arguments, "--port", "0", "--delay", "1ms", "--tokens", "tokens", "--json", *more],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("CW_")} | {"CW_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


@contextlib.contextmanager
def answering(status: int, *bodies: bytes) -> Iterator[str]:
    """A receiver that gives these answers, the last one again and again."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(200 if body.startswith(b'{"decisions"') else status)
            if status == 302:
                self.send_header("location", "http://127.0.0.1:1/")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def verified(folder: Path, index: int) -> dict[str, Any]:
    """What the log says of an entry, to whoever trusts its key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CW_")} | {"CW_HOME": str(folder / "home")}
    shown = folder / f"shown-{index}.json"
    key = (folder / "decisions/log.pub").read_text().splitlines()[0]
    for arguments in (
        ["disclose", str(index), "--log", "decisions", "--all", "--output", str(shown)],
        ["verify", str(shown), "--vkey", key, "--json"],
    ):
        done = subprocess.run([CW, "decision", *arguments], cwd=folder, env=kept, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@needs_cw
def test_decisions_are_recorded_and_their_receipts_hold(tmp_path: Path) -> None:
    with receiver(tmp_path) as told:
        recorder = Recorder(told["url"], TOKEN, owner=told["owner"])
        made_at = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
        one = recorder.record("Ada Lovelace", inputs={"age": 50}, outputs={"score": 1.5}, made_at=made_at)
        assert one.receipt.origin == "loans.example/decisions"
        assert (one.receipt.index, one.receipt.counter) == (one.index, 0)
        assert one.receipt.deadline > datetime.now(UTC)
        many = recorder.record_all([Decision(subject=f"person {n}", outputs={"score": n / 2}) for n in range(20)])
        assert [other.receipt.counter for other in many] == list(range(1, 21))
        assert recorder.record_all([]) == []
        reviewer = {"name": "Grace Hopper", "note": "seen"}
        seen = recorder.record("Alan", outputs={"score": 0.0}, reviewer=reviewer, overridden=True, consent="form 7")
    shown = verified(tmp_path, one.index)
    assert shown["time"] == "2026-05-04T12:30:00Z"
    assert {entry["name"]: entry["value"] for entry in shown["fields"]}["age"] == "50"
    assert verified(tmp_path, seen.index)["overridden"]


@needs_cw
def test_the_guides_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (ROOT / "docs/guides/log-decisions.md").read_text()
    profile, example = (guide.split(f"```{language}\n")[1].split("```")[0] for language in ("json", "python"))
    with receiver(tmp_path, profile=json.loads(profile)) as told:
        for there, here in (("http://127.0.0.1:7422", told["url"]), ('"…"', f'"{TOKEN}"'), ("0x…", told["owner"])):
            assert example.count(there) == 1
            example = example.replace(there, here)
        kept: list[str] = []
        exec(example, {"keep": kept.append})
    assert json.loads(kept[0])["origin"] == "loans.example/decisions"
    assert capsys.readouterr().out.startswith("1 2")


@needs_cw
def test_what_is_refused_says_why_and_another_owner_is_not_believed(tmp_path: Path) -> None:
    with receiver(tmp_path) as told:
        recorder = Recorder(told["url"], TOKEN, owner=told["owner"])
        with pytest.raises(RecordingError, match="no output field") as refused:
            recorder.record("Ada", outputs={"height": 1.5})
        assert refused.value.status == 400
        with pytest.raises(RecordingError) as refused:
            Recorder(told["url"], "another-token-of-ours", owner=told["owner"]).record("Ada", outputs={"score": 1.0})
        assert refused.value.status == 401
        with pytest.raises(ReceiptError, match="signature"):
            Recorder(told["url"], TOKEN, owner="0x" + "11" * 20).record("Ada", outputs={"score": 1.0})
        with pytest.raises(ValueError):
            recorder.record("Ada", outputs={"score": float("nan")})


@needs_cw
def test_over_tls_a_certificate_has_to_be_trusted(tmp_path: Path) -> None:
    fixtures = ROOT / "crates/provenance/fixtures"
    certificate, key = fixtures / "localhost.pem", fixtures / "localhost.key.pem"
    with receiver(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as told:
        url = told["url"].replace("127.0.0.1", "localhost")
        assert url.startswith("https://")
        trusting = Recorder(url, TOKEN, owner=told["owner"], certificates=str(certificate))
        assert trusting.record("Ada", outputs={"score": 1.0}).receipt.counter == 0
        with pytest.raises(RecordingError, match="certificate verify failed"):
            Recorder(url, TOKEN, owner=told["owner"]).record("Ada", outputs={"score": 1.0})


@needs_cw
def test_an_answer_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    with receiver(tmp_path) as told:
        recorder = Recorder(told["url"], TOKEN, owner=told["owner"])
        first = recorder.record("Ada", outputs={"score": 1.0})
        second = recorder.record("Alan", outputs={"score": 2.0})

    def answer(entry: bytes, index: int, receipt: str | None) -> bytes:
        return json.dumps({"decisions": [{"entry": entry.hex(), "index": index, "receipt": receipt}]}).encode()

    honest = answer(first.entry, first.index, first.receipt.document)
    with answering(200, honest) as url:
        replayed = Recorder(url, owner=told["owner"]).record("Ada", outputs={"score": 1.0})
        assert replayed.receipt == first.receipt
    for body in (
        answer(second.entry, first.index, first.receipt.document),
        answer(first.entry, second.index, first.receipt.document),
        answer(first.entry, first.index, first.receipt.document.replace("counter", "Counter")),
        answer(first.entry, first.index, None),
        b'{"decisions": []}',
        b'{"decisions": 7}',
        b'{"decisions": [{}]}',
    ):
        with answering(200, body) as url, pytest.raises(ReceiptError):
            Recorder(url, owner=told["owner"]).record("Ada", outputs={"score": 1.0})
    with answering(200, honest) as url, pytest.raises(ReceiptError, match="another endpoint"):
        Recorder(url, owner=told["owner"]).record("Ada", outputs={"score": 1.0}, endpoint="other.example")
    # A receiver that is full for a moment is asked again.
    with answering(503, b"{}", honest) as url:
        assert Recorder(url, owner=told["owner"]).record("Ada", outputs={"score": 1.0}).index == first.index


def test_a_receiver_that_is_full_or_gone_is_given_up_after_a_while() -> None:
    owner = "0x" + "11" * 20
    with answering(429, b'{"error": {"message": "the queue is full"}}') as url:
        with pytest.raises(RecordingError, match="the queue is full") as refused:
            Recorder(url, owner=owner, patience=0.2).record("Ada", outputs={"score": 1.0})
        assert refused.value.status == 429
    with pytest.raises(RecordingError, match="nobody listens"):
        Recorder("http://127.0.0.1:1", owner=owner, patience=0.2).record("Ada", outputs={"score": 1.0})
    with answering(302, b"{}") as url, pytest.raises(RecordingError):
        Recorder(url, owner=owner, patience=0.2).record("Ada", outputs={"score": 1.0})


def test_a_token_does_not_go_in_the_clear_beyond_this_machine() -> None:
    owner = "0x" + "11" * 20
    with pytest.raises(ValueError, match="https"):
        Recorder("http://decisions.example", TOKEN, owner=owner)
    with pytest.raises(ValueError, match="no address"):
        Recorder("decisions.example", owner=owner)
    Recorder("https://decisions.example", TOKEN, owner=owner)
    Recorder("http://127.0.0.1:7422", TOKEN, owner=owner)
