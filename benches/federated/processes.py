"""Ten members as processes of their own, with a coordinator that serves the chain on loopback: seconds from the start of all eleven
processes until the first round is closed, and what a member holds in memory while it waits.

Usage: processes.py path/to/cw. The last line is one JSON object.
"""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = 10


def address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def make_project(folder):
    """The breast cancer example with its rows dealt to so many members."""
    example = ROOT / "examples/breast-cancer"
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns(".counterweight"))
    rows = []
    for path in sorted((example / "data").glob("clinic-*.csv")):
        with path.open(newline="") as file:
            head, *body = csv.reader(file)
        rows += body
    config = folder / "counterweight.toml"
    text = config.read_text().split("[[dataset]]")[0].replace("rounds = 15", "rounds = 2")
    for member in range(MEMBERS):
        with (folder / f"data/member-{member}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows[member::MEMBERS]])
        text += f'\n[[dataset]]\nname = "member-{member}"\npath = "data/member-{member}.csv"\n'
        text += 'licence = "CC-BY-4.0"\nconsent = ["research"]\n'
    config.write_text(text)


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    cw = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "study"
        make_project(project)
        environment = {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder}

        def start(*arguments):
            return subprocess.Popen(
                [cw, *arguments], cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )

        # Contracts are deployed and datasets registered once, by a study before.
        subprocess.run([cw, "train", "--quiet"], cwd=project, env=environment, check=True, stdout=subprocess.DEVNULL)
        members_at, chain_at = address(), address()
        closed = threading.Event()
        at = []
        began = time.monotonic()
        running = [start("train", "--fresh", "-v", "--listen", members_at, "--rpc", chain_at)]
        said = []

        def listen():
            for line in running[0].stderr:
                said.append(line)
                if "round 1 of" in line and not at:
                    at.append(time.monotonic() - began)
                    closed.set()
            closed.set()

        threading.Thread(target=listen, daemon=True).start()
        places = ["--coordinator", f"https://{members_at}", "--network", f"http://{chain_at}"]
        for member in range(MEMBERS):
            running.append(start("member", "start", *places, "--dataset", f"member-{member}"))
        try:
            closed.wait(120)
            for process in running:
                process.wait(120)
        finally:
            for process in running:
                process.kill()
        if not at:
            sys.exit("no round was closed:\n" + "".join(said[-10:]))
        # All but one of another study: they wait for the last.
        members_at, chain_at = address(), address()
        running = [start("train", "--fresh", "--listen", members_at, "--rpc", chain_at)]
        places = ["--coordinator", f"https://{members_at}", "--network", f"http://{chain_at}"]
        for member in range(MEMBERS - 1):
            running.append(start("member", "start", *places, "--dataset", f"member-{member}"))
        time.sleep(4)
        idle = [resident_mib(process.pid) for process in running[1:]]
        for process in running:
            process.kill()
    print(f"{MEMBERS} member processes: start to first round closed {at[0]:.2f} s; idle member at most {max(idle):.1f} MiB")
    figures = {"processes_start_s": round(at[0], 3), "idle_member_mib": round(max(idle), 1)}
    print(json.dumps({"bench": "federated-processes", "figures": figures}))


if __name__ == "__main__":
    main()
