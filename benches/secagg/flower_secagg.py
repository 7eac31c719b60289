"""Flower's side: python flower_secagg.py MEMBERS COORDINATES SHARES THRESHOLD

One round of SecAggPlusWorkflow and secaggplus_mod as they are shipped, with messages handed over in this process: no Ray, no
sockets, no second process, so that only the protocol is measured. Prints one line of JSON: CPU seconds of the round,
bytes of one masked upload, and the largest distance of the mean from the plain one.
"""

import json
import logging
import sys
import time

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod.secure_aggregation.secaggplus_mod import secaggplus_mod
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key
from flwr.compat.common import recorddict_compat as compat
from flwr.server.client_manager import SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.task_identity import TaskIdentity

MEMBERS, COORDINATES, SHARES, THRESHOLD = (int(argument) for argument in sys.argv[1:5])
logging.getLogger("flwr").setLevel(logging.ERROR)
TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1


class InProcess:
    """Hands each message to the member's mod and its reply back."""

    def __init__(self, updates: dict[int, np.ndarray]):
        self.updates = updates
        self.contexts = {
            node: Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={}) for node in updates
        }
        self.upload = 0

    def send_and_receive(self, messages, *, timeout=None):
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = f"{node}"
            # A transport would hand each member its own copy of the settings.
            own = RecordDict(dict(message.content))
            own[RECORD_KEY_CONFIGS] = ConfigRecord(dict(message.content[RECORD_KEY_CONFIGS]))
            message.content = own

            def fit(incoming, context, node=node):
                parameters = ndarrays_to_parameters([self.updates[node]])
                result = FitRes(Status(Code.OK, ""), parameters, 1000, {})
                return Message(compat.fitres_to_recorddict(result, False), reply_to=incoming)

            reply = secaggplus_mod(message, self.contexts[node], fit)
            masked = reply.content.config_records[RECORD_KEY_CONFIGS].get(Key.MASKED_PARAMETERS)
            if masked is not None:
                self.upload = max(self.upload, sum(len(part) for part in masked))
            replies.append(reply)
        return replies


class Captured(FedAvg):
    """FedAvg that keeps what was unmasked."""

    mean = None

    def aggregate_fit(self, server_round, results, failures):
        if failures or len(results) != MEMBERS:
            raise RuntimeError(f"{len(failures)} failures, {len(results)} results")
        self.mean = parameters_to_ndarrays(results[0][1].parameters)[0]
        return results[0][1].parameters, {}


def main() -> None:
    random = np.random.default_rng(42)
    updates = {
        node: random.uniform(-1, 1, COORDINATES).astype(np.float32) for node in range(1001, 1001 + MEMBERS)
    }
    grid = InProcess(updates)
    manager = SimpleClientManager()
    for node in updates:
        manager.register(GridClientProxy(node, grid, 1))
    strategy = Captured(min_fit_clients=MEMBERS, min_available_clients=MEMBERS, fraction_evaluate=0.0)
    server = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    context = LegacyContext(server, strategy=strategy, client_manager=manager)
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({WorkflowKey.CURRENT_ROUND: 1})
    start = ndarrays_to_parameters([np.zeros(COORDINATES, np.float32)])
    context.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(start, True)
    workflow = SecAggPlusWorkflow(num_shares=SHARES, reconstruction_threshold=THRESHOLD)
    # What a round without masks spends here: making, moving and averaging plain updates.
    plain = time.process_time()
    records = [
        compat.fitres_to_recorddict(FitRes(Status(Code.OK, ""), ndarrays_to_parameters([update]), 1000, {}), False)
        for update in updates.values()
    ]
    arrays = [parameters_to_ndarrays(compat.recorddict_to_fitres(record, True).parameters)[0] for record in records]
    expected = np.mean(arrays, axis=0)
    plain = time.process_time() - plain
    started = time.process_time()
    workflow(grid, context)
    seconds = time.process_time() - started
    apart = float(np.abs(strategy.mean - expected).max())
    print(json.dumps({"cpu_s": seconds - plain, "upload_bytes": grid.upload, "apart": apart}))


if __name__ == "__main__":
    main()
