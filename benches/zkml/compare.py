"""Proves the same networks with Counterweight and with EZKL: python compare.py CW DATA.

Every step of both sides is a process of its own, so that its processor seconds (user and system) and its peak memory are what
the kernel says of that process. EZKL: inputs private, outputs public, weights committed with KZG (`polycommit`). Ours: weights
hidden behind a hiding commitment, input and output public, masks in.
"""

import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
PROOFS = 3


class Step:
    """One process: its answer, processor seconds, wall seconds and peak memory in MiB."""

    def __init__(self, command, folder=None):
        start = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, env=os.environ | {"NO_COLOR": "1"})
            _, status, usage = os.wait4(process.pid, 0)
            out.seek(0), err.seek(0)
            self.text, errors = out.read().decode(), err.read().decode()
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{self.text}\n{errors}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.wall = time.monotonic() - start
        self.mib = usage.ru_maxrss / 1024

    def json(self):
        return json.loads(self.text)


def dense_network(path, widths, seed):
    """An ONNX file of dense layers with random weights."""
    rng, nodes, constants, value = np.random.default_rng(seed), [], [], "input"
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights = rng.normal(0, np.sqrt(2 / inputs), (outputs, inputs)).astype(np.float32)
        constants += [numpy_helper.from_array(weights, f"w{index}"),
                      numpy_helper.from_array(np.zeros(outputs, np.float32), f"b{index}")]
        last = index == len(widths) - 2
        nodes.append(helper.make_node("Gemm", [value, f"w{index}", f"b{index}"], ["output" if last else f"g{index}"],
                                      name=f"dense{index}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{index}"], [f"r{index}"], name=f"relu{index}"))
            value = f"r{index}"
    graph = helper.make_graph(
        nodes, path.stem, [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, widths[0]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, widths[-1]])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="counterweight")
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())


def random_rows(path, width, count, seed):
    rng = np.random.default_rng(seed)
    path.write_text("\n".join(",".join(f"{value:.4f}" for value in row) for row in rng.uniform(0, 1, (count, width))) + "\n")


def ours(cw, project, name, network, calibrate, test, row):
    at = lambda *words: Step([cw, "--json", *words], project)
    source = project / f"{name}-row.json"
    source.write_text(json.dumps(row))
    imported = at("model", "import", network, "--calibrate", calibrate, "--name", name, *(["--test", test] if test else []))
    published = at("model", "publish", name)
    proofs = [at("prove", name, "--input", source, "--output", f"{name}.cwp") for _ in range(PROOFS)]
    verified = at("verify", "proof", f"{name}.cwp")
    assert verified.json()["verdict"] == "yes", verified.text
    on_chain = at("verify", "proof", f"{name}.cwp", "--on-chain")
    assert on_chain.json()["verdict"] == "yes", on_chain.text
    proof = min(proofs, key=lambda step: step.cpu)
    report = imported.json().get("accuracy")
    key = project / ".counterweight" / "inference" / name
    return {
        "network": name, "prover": "counterweight", "weights": imported.json()["weights"],
        "import_cpu": imported.cpu, "setup_cpu": published.cpu, "setup_mib": published.mib,
        "prove_cpu": statistics.median(step.cpu for step in proofs), "prove_wall": statistics.median(step.wall for step in proofs),
        "prove_mib": max(step.mib for step in proofs), "verify_cpu": verified.cpu,
        "key_bytes": (key / "secret.cws").stat().st_size, "public_key_bytes": (key / "model.cwk").stat().st_size,
        "proof_bytes": proof.json()["proof_bytes"], "register_gas": published.json().get("gas"),
        "verify_gas": on_chain.json()["gas"], "accuracy": report,
        "phases": {phase["phase"]: phase["seconds"] for phase in proof.json()["phases"]},
    }


def ezkl(folder, name, network, row):
    folder = folder / f"ezkl-{name}"
    folder.mkdir()
    (folder / "network.onnx").write_bytes(network.read_bytes())
    (folder / "input.json").write_text(json.dumps({"input_data": [row]}))
    steps = {step: Step([sys.executable, HERE / "ezkl_step.py", step, folder])
             for step in ("settings", "srs", "setup", "witness", "prove", "verify")}
    proof = json.loads((folder / "proof.json").read_text())
    return {
        "network": name, "prover": "ezkl", "import_cpu": steps["settings"].cpu,
        "setup_cpu": steps["srs"].cpu + steps["setup"].cpu, "setup_mib": steps["setup"].mib,
        "prove_cpu": steps["witness"].cpu + steps["prove"].cpu, "prove_wall": steps["witness"].wall + steps["prove"].wall,
        "prove_mib": steps["prove"].mib, "verify_cpu": steps["verify"].cpu,
        "key_bytes": (folder / "pk.key").stat().st_size, "public_key_bytes": (folder / "vk.key").stat().st_size,
        "proof_bytes": len(proof["proof"]) if isinstance(proof["proof"], list) else len(bytes.fromhex(proof["proof"].removeprefix("0x"))),
    }


def table(rows):
    columns = [("network", "{}"), ("prover", "{}"), ("setup_cpu", "{:.2f}"), ("setup_mib", "{:.0f}"), ("prove_cpu", "{:.3f}"),
               ("prove_wall", "{:.3f}"), ("prove_mib", "{:.0f}"), ("verify_cpu", "{:.3f}"), ("key_bytes", "{:,}"),
               ("public_key_bytes", "{:,}"), ("proof_bytes", "{:,}"), ("register_gas", "{:,}"), ("verify_gas", "{:,}")]
    cells = [[name for name, _ in columns]]
    cells += [[form.format(row[name]) if row.get(name) is not None else "-" for name, form in columns] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def main():
    cw, data = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    models = HERE / ".venv" / "models"
    if not (models / "test.csv").exists():
        subprocess.run([sys.executable, HERE / "models.py", "--data", data, "--out", models], check=True)
    with (models / "test.csv").open() as file:
        row = [float(value) for value in list(csv.reader(file))[1][:784]]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        project = folder / "project"
        Step([cw, "new", project])
        for name in ("mlp", "lenet"):
            network = models / f"{name}.onnx"
            rows.append(ours(cw, project, name, network, models / "calibrate.csv", models / "test.csv", row))
            if name == "mlp" or not os.environ.get("CW_BENCH_SKIP_LENET_PEER"):
                rows.append(ezkl(folder, name, network, row))
        for name, widths in (("1m", (784, 800, 480, 10)), ("10m", (1024, 2600, 2600, 256, 10))):
            random_rows(folder / f"{name}.csv", widths[0], 32, 1)
            dense_network(folder / f"{name}.onnx", widths, 2)
            given = [float(value) for value in (folder / f"{name}.csv").read_text().split("\n")[0].split(",")]
            rows.append(ours(cw, project, name, folder / f"{name}.onnx", folder / f"{name}.csv", None, given))
    table(rows)
    print()
    for row in rows:
        if row["prover"] == "counterweight":
            print(f"{row['network']}: " + ", ".join(f"{phase} {1000 * seconds:.0f} ms" for phase, seconds in row["phases"].items()))
            if row["accuracy"]:
                print(f"  right on {row['accuracy']['rows']} digits: {100 * row['accuracy']['float']:.2f} % in floating point, "
                      f"{100 * row['accuracy']['quantised']:.2f} % quantised")
    find = lambda network, prover: next((row for row in rows if (row["network"], row["prover"]) == (network, prover)), None)
    mlp, lenet = find("mlp", "counterweight"), find("lenet", "counterweight")
    ratios = {"mlp_prove_cpu": find("mlp", "ezkl")["prove_cpu"] / mlp["prove_cpu"]}
    if peer := find("lenet", "ezkl"):
        ratios["lenet_prove_cpu"] = peer["prove_cpu"] / lenet["prove_cpu"]
    figures = {f"{name}_{figure}": row[figure] for name, row in (("mlp", mlp), ("lenet", lenet), ("1m", find("1m", "counterweight")),
                                                               ("10m", find("10m", "counterweight")))
               for figure in ("prove_cpu", "prove_wall", "prove_mib", "verify_gas", "proof_bytes", "setup_cpu", "register_gas")}
    print(json.dumps({"bench": "zkml", "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
