#!/usr/bin/env python3
"""One step of proving a network with EZKL, so that each step's processor time and peak memory are those of a process.

    ezkl_step.py STEP FOLDER

FOLDER holds network.onnx and input.json, and each step leaves its files there. Inputs are private, outputs public, weights
committed (`polycommit`, EZKL's KZG commitment, which is what comes nearest to ours; it does not blind). Offline: the
structured reference string is generated here.
"""

import pathlib
import sys

import ezkl

STEPS = ("settings", "srs", "setup", "witness", "prove", "verify")


def run(step, folder):
    at = lambda name: str(folder / name)
    if step == "settings":
        arguments = ezkl.PyRunArgs()
        arguments.input_visibility = "private"
        arguments.output_visibility = "public"
        arguments.param_visibility = "polycommit"
        assert ezkl.gen_settings(at("network.onnx"), at("settings.json"), py_run_args=arguments)
        calibrated = ezkl.calibrate_settings(at("input.json"), at("network.onnx"), at("settings.json"), "resources",
                                             scales=[7], max_logrows=20)
        assert calibrated is None or calibrated
        assert ezkl.compile_circuit(at("network.onnx"), at("network.ezkl"), at("settings.json"))
    elif step == "srs":
        import json
        logrows = json.loads((folder / "settings.json").read_text())["run_args"]["logrows"]
        ezkl.gen_srs(at("kzg.srs"), logrows)
    elif step == "setup":
        assert ezkl.setup(at("network.ezkl"), at("vk.key"), at("pk.key"), at("kzg.srs"))
    elif step == "witness":
        ezkl.gen_witness(at("input.json"), at("network.ezkl"), at("witness.json"), at("vk.key"), at("kzg.srs"))
    elif step == "prove":
        ezkl.prove(at("witness.json"), at("network.ezkl"), at("pk.key"), at("proof.json"), at("kzg.srs"))
    elif step == "verify":
        assert ezkl.verify(at("proof.json"), at("settings.json"), at("vk.key"), at("kzg.srs"))
    else:
        raise SystemExit(f"unknown step {step}: one of {', '.join(STEPS)}")


if __name__ == "__main__":
    run(sys.argv[1], pathlib.Path(sys.argv[2]))
