"""Measures ERC-20 transfers: ours in process, ours over JSON-RPC, anvil over the same JSON-RPC.

All get the same kind of load: ten senders, every recipient new, signed before the clock starts; over JSON-RPC the very
same bytes in the same batches over the same connections. The clock stops when every receipt was read. Ours writes
every block durably to disk, state, transaction and receipt roots included; anvil keeps everything in memory.

anvil runs in the fastest of its modes that we found: no mining by itself, a block asked for after each batch, first
come first served, two connections. A block for each transaction is several times slower, and a block per second falls
behind under this load, since the time for a block grows faster than the transactions in it.

Repetitions are interleaved, since the machine may be shared, and the median of each is taken.
"""

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "../../target")) / "release/examples"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """One way of running transfers, and what its repetitions gave."""

    name: str
    rates: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    disk_mib: list[float] = field(default_factory=list)
    gas: int = 0
    blocks: int = 0


def anvil() -> Path:
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    system = platform.system().lower()
    return HERE / f"node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil"


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def disk_mib(folder: Path) -> float:
    """Length of the files, as for the run in process."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(port: int, node: subprocess.Popen) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if node.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"{node.args[0]} does not listen")


def over_rpc(case: Case, command: list[str], options: argparse.Namespace, extra: list[str], data: Path | None) -> None:
    port = free_port()
    # Nothing reads what a node says, and a full pipe would stop it.
    node = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port, node)
        before = cpu_seconds(node.pid)
        load = [TARGET / "rpc_load", f"http://127.0.0.1:{port}", "--transfers", options.transfers]
        load += ["--batch", options.batch, "--connections", options.connections, *extra]
        report = json.loads(subprocess.run(list(map(str, load)), check=True, stdout=subprocess.PIPE, text=True).stdout)
        case.cpu_seconds.append(cpu_seconds(node.pid) - before)
        case.peak_mib.append(peak_mib(node.pid))
    finally:
        node.kill()
        node.wait()
    case.rates.append(report["transfers_per_second"])
    case.gas, case.blocks = report["gas_per_transfer"], report["blocks"]
    if data:
        case.disk_mib.append(disk_mib(data))


def in_process(case: Case, options: argparse.Namespace, data: Path) -> None:
    senders, gas_limit, all_at_once = 10, 60_000_000, 0
    command = [TARGET / "throughput", options.transfers, senders, gas_limit, all_at_once]
    environment = {**os.environ, "TMPDIR": str(data)}
    run = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, env=environment)
    report = json.loads(run.stdout.splitlines()[-1])
    if report["transfers"] != options.transfers:
        raise RuntimeError(f"{report['transfers']} of {options.transfers} transfers succeeded")
    case.rates.append(report["per_second"])
    case.cpu_seconds.append(report["cpu_s"])
    case.peak_mib.append(report["peak_mib"])
    case.gas, case.blocks = report["gas"] // options.transfers, report["blocks"]
    case.disk_mib.append(report["file_mib"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transfers", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500, help="transactions in one request")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()

    ours_in_process = Case("ours, in process, one call")
    ours_over_rpc = Case("ours, JSON-RPC")
    anvil_case = Case(f"anvil, a block per batch of {options.batch}")
    cases = [ours_in_process, ours_over_rpc, anvil_case]
    peer = [str(anvil()), "--quiet", "--hardfork", "osaka", "--gas-limit", "1000000000", "--order", "fifo"]
    for repetition in range(options.repetitions):
        print(f"repetition {repetition + 1} of {options.repetitions}", file=sys.stderr)
        for case in cases:
            data = Path(tempfile.mkdtemp(prefix="bench-chain-", dir=os.environ.get("BENCH_DIR")))
            try:
                if case is ours_in_process:
                    in_process(case, options, data)
                elif case is ours_over_rpc:
                    over_rpc(case, [str(TARGET / "node"), "--data", str(data / "chain")], options, [], data)
                else:
                    over_rpc(case, [*peer, "--no-mining"], options, ["--mine"], None)
            finally:
                shutil.rmtree(data)

    def median(values: list[float]) -> float:
        return statistics.median(values) if values else float("nan")

    print(f"{options.transfers} ERC-20 transfers to new accounts from ten senders; batches of {options.batch} over")
    print(f"{options.connections} connections; medians of {options.repetitions}; rates from lowest to highest in brackets\n")
    print(f"{'':34}{'transfers/s':>12} {'(range)':>16}{'CPU s':>8}{'peak MiB':>10}{'disk MiB':>10}{'gas':>8}{'blocks':>8}")
    for case in cases:
        spread = f"({min(case.rates):.0f}-{max(case.rates):.0f})"
        disk = f"{median(case.disk_mib):.0f}" if case.disk_mib else "memory"
        print(
            f"{case.name:34}{median(case.rates):12.0f} {spread:>16}{median(case.cpu_seconds):8.1f}"
            f"{median(case.peak_mib):10.0f}{disk:>10}{case.gas:8}{case.blocks:8}"
        )
    print()
    rate = median(anvil_case.rates)
    figures = {
        "in_process_tx_s": median(ours_in_process.rates),
        "over_rpc_tx_s": median(ours_over_rpc.rates),
        "anvil_tx_s": rate,
        "anvil_mode": anvil_case.name.removeprefix("anvil, "),
        "in_process_cpu_s": median(ours_in_process.cpu_seconds),
        "over_rpc_cpu_s": median(ours_over_rpc.cpu_seconds),
        "anvil_cpu_s": median(anvil_case.cpu_seconds),
        "in_process_peak_mib": median(ours_in_process.peak_mib),
        "over_rpc_peak_mib": median(ours_over_rpc.peak_mib),
        "anvil_peak_mib": median(anvil_case.peak_mib),
        "disk_mib": median(ours_over_rpc.disk_mib),
        "gas_per_transfer": ours_over_rpc.gas,
        "anvil_gas_per_transfer": anvil_case.gas,
    }
    ratios = {"in_process": median(ours_in_process.rates) / rate, "over_rpc": median(ours_over_rpc.rates) / rate}
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"bench": "chain", "figures": rounded, "ratios": {k: round(v, 2) for k, v in ratios.items()}}))


if __name__ == "__main__":
    main()
