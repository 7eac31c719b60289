"""Decisions: spans that OpenTelemetry's own SDK exports, and a bundle's exports read by the tools of their formats."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
import unittest

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from prov.model import ProvDocument

from command import CW, cw

TOKEN = "a-token-of-the-clinic"


def profile(**more: object) -> str:
    return json.dumps({"endpoint": "test.example", "model": "blake3:" + "04" * 32, **more})


@contextlib.contextmanager
def receiver(folder: pathlib.Path):
    """A receiver of spans, and its address."""
    (folder / "chat.json").write_text(profile(gen_ai=True))
    (folder / "tokens").write_text(TOKEN + "\n")
    arguments = ["--log", "decisions", "--origin", "test.example/decisions", "--endpoint", "chat.json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CW_")}
    server = subprocess.Popen(
        [CW, "decision", "serve", *arguments, "--port", "0", "--delay", "1ms", "--tokens", "tokens"],
        cwd=folder, env=kept | {"CW_HOME": str(folder.parent / "home")}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


class Decisions(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cw-decisions-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name) / "work"
        self.folder.mkdir()

    def test_spans_of_the_opentelemetry_sdk_are_recorded(self):
        with receiver(self.folder) as url:
            results = []

            class Exporter(OTLPSpanExporter):
                def export(self, spans):
                    results.append(super().export(spans).name)
                    return results[-1]

            exporter = Exporter(endpoint=f"{url}/v1/traces", headers={"authorization": f"Bearer {TOKEN}"})
            provider = TracerProvider(resource=Resource.create({"service.name": "assistant"}))
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            with provider.get_tracer("test").start_as_current_span("chat") as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.request.model", "gpt")
                span.set_attribute("gen_ai.request.temperature", 0.5)
                span.set_attribute("gen_ai.usage.input_tokens", 12)
                span.set_attribute("gen_ai.response.finish_reasons", ["stop", "length"])
                span.set_attribute("enduser.id", "Ada Lovelace")
            provider.shutdown()
            self.assertEqual(results, ["SUCCESS"])
        shown = self.folder / "shown.json"
        cw("decision", "disclose", 1, "--log", "decisions", "--all", "--output", shown, folder=self.folder)
        key = (self.folder / "decisions/log.pub").read_text().splitlines()[0]
        answer = cw("decision", "verify", shown, "--vkey", key, "--json", folder=self.folder).json()
        values = {field["name"]: field["value"] for field in answer["fields"]}
        self.assertEqual(values["gen_ai.request.model"], "gpt")
        self.assertEqual(values["service.name"], "assistant")
        self.assertEqual(values["gen_ai.response.finish_reasons"], '["stop","length"]')
        self.assertEqual(float(values["gen_ai.request.temperature"]), 0.5)
        self.assertEqual(int(values["gen_ai.usage.input_tokens"]), 12)
        self.assertEqual(len(values["trace_id"]), 32)

    def test_the_provenance_in_a_bundle_of_a_decision_is_prov(self):
        field = {"name": "age", "type": "integer"}
        (self.folder / "loans.json").write_text(profile(inputs=[field], outputs=[{"name": "score", "type": "number"}]))
        decision = {"subject": "Ada", "inputs": {"age": 50}, "outputs": {"score": 1.5}}
        (self.folder / "new.jsonl").write_text(json.dumps(decision) + "\n")
        begin = ["--origin", "test.example/decisions", "--endpoint", "loans.json"]
        cw("decision", "record", "new.jsonl", "--log", "decisions", *begin, folder=self.folder)
        bundle = self.folder / "decision.bundle"
        arguments = ["--decision", 1, "--log", "decisions", "--field", "score", "--output", bundle]
        # Without a chain the answer is unknown, and everything else is there.
        cw("audit", "bundle", *arguments, folder=self.folder, ends=1)
        with tarfile.open(bundle) as archive:
            read = lambda name: archive.extractfile(name).read().decode()
            document = ProvDocument.deserialize(io.StringIO(read("exports/decision.prov.json")), format="json")
            points = json.loads(read("exports/article-12.json"))["points"]
        kinds = sorted(record.get_type().localpart for record in document.get_records())
        expected = ["Activity", "Agent", "Association", "Attribution", "Entity", "Entity", "Generation", "Usage"]
        self.assertEqual(kinds, expected)
        self.assertIn("12(2)(a)", [point["point"] for point in points])
        self.assertNotIn("Ada", bundle.read_bytes().decode("latin-1"))


if __name__ == "__main__":
    unittest.main()
