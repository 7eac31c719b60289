"""Flower's side of the comparison: the same digits, model, steps and shares of rows, in NumPy.

    python flower_clients.py DIGITS.CSV CLIENTS ROUNDS

Prints one line of JSON a round, as soon as it is aggregated, then a line of results, like our side.
"""

import json
import sys
import time

import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation

PATH, CLIENTS, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BATCH, RATE, CLASSES = 16, 0.5, 10


def load() -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(PATH, delimiter=",", skiprows=1, dtype=np.float32)
    return table[:, :-1] / 16, table[:, -1].astype(np.int64)


def probabilities(weights, biases, rows):
    logits = rows @ weights.T + biases
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


class Member(NumPyClient):
    def __init__(self, index: int):
        rows, labels = load()
        self.rows, self.labels, self.index = rows[index::CLIENTS], labels[index::CLIENTS], index

    def fit(self, parameters, config):
        weights, biases = (array.copy() for array in parameters)
        order = np.random.default_rng([42, int(config["round"]), self.index]).permutation(len(self.rows))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            slopes = probabilities(weights, biases, self.rows[batch])
            slopes[np.arange(len(batch)), self.labels[batch]] -= 1
            slopes /= len(batch)
            weights -= np.float32(RATE) * (slopes.T @ self.rows[batch])
            biases -= np.float32(RATE) * slopes.sum(axis=0)
        return [weights, biases], len(self.rows), {}


class Timed(FedAvg):
    """FedAvg that says when a round is done."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.since = time.monotonic()
        self.newest = None

    def aggregate_fit(self, server_round, results, failures):
        if failures or len(results) != CLIENTS:
            raise RuntimeError(f"{len(failures)} failures, {len(results)} results")
        answer = super().aggregate_fit(server_round, results, failures)
        now = time.monotonic()
        print(json.dumps({"round": server_round, "seconds": now - self.since}), flush=True)
        self.since, self.newest = now, answer[0]
        return answer


def main() -> None:
    start = [np.zeros(shape, np.float32) for shape in ((CLASSES, 64), (CLASSES,))]
    strategy = Timed(
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=CLIENTS,
        min_available_clients=CLIENTS,
        initial_parameters=ndarrays_to_parameters(start),
        on_fit_config_fn=lambda server_round: {"round": server_round},
    )
    server = ServerApp(
        server_fn=lambda context: ServerAppComponents(
            strategy=strategy, config=ServerConfig(num_rounds=ROUNDS)
        )
    )
    client = ClientApp(client_fn=lambda context: Member(int(context.node_config["partition-id"])).to_client())
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=CLIENTS,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    rows, labels = load()
    weights, biases = parameters_to_ndarrays(strategy.newest)
    right = probabilities(weights, biases, rows).argmax(axis=1) == labels
    print(json.dumps({"accuracy": float(right.mean())}), flush=True)


if __name__ == "__main__":
    main()
