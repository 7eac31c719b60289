"""PyTorch modules as clients: two lines for a module and its batches.

client = counterweight.torch.TorchClient(module, train_loader, loss=torch.nn.functional.cross_entropy)
counterweight.serve(client)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from counterweight._client import (
    Client,
    EvaluateConfig,
    EvaluateResult,
    FitConfig,
    FitResult,
    Parameters,
)

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


class TorchClient(Client):
    """Trains a module by the study's epochs or steps and learning rate.

    Tensors of the state that are no float numbers, such as counters of batches, travel as float32 and come back as what
    they were.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        batches: Batches,
        *,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        test: Batches | None = None,
        optimiser: Callable[[Iterable[torch.nn.Parameter], float], torch.optim.Optimizer] | None = None,
    ) -> None:
        """``loss`` gives the mean over a batch; ``optimiser`` is made anew each round, SGD where it is left out."""
        self.module = module
        self.batches = batches
        self.loss = loss
        self.test = test
        self.optimiser = optimiser or (lambda parameters, lr: torch.optim.SGD(parameters, lr=lr))

    def parameters(self) -> dict[str, npt.NDArray[Any]]:
        state = self.module.state_dict()
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in state.items()}

    def _load(self, parameters: Parameters) -> None:
        state = self.module.state_dict()
        self.module.load_state_dict(
            {name: torch.from_numpy(np.asarray(value)).to(state[name].dtype) for name, value in parameters.items()}
        )

    def fit(self, parameters: Parameters, config: FitConfig) -> FitResult:
        torch.manual_seed(config.seed)
        self._load(parameters)
        self.module.train()
        optimiser = self.optimiser(self.module.parameters(), config.lr)
        steps = config.local.get("steps")
        left = int(steps) if steps else None
        total, seen, made, rows = 0.0, 0, 0, 0
        epochs = 0
        while (left is None and epochs < config.local_epochs) or (left is not None and made < left):
            before = made
            rows = 0
            for inputs, targets in self.batches:
                optimiser.zero_grad()
                loss = self.loss(self.module(inputs), targets)
                loss.backward()
                optimiser.step()
                total += float(loss.detach()) * len(targets)
                seen += len(targets)
                rows += len(targets)
                made += 1
                if made == left:
                    break
            if made == before:
                raise ValueError("there are no batches to train on")
            epochs += 1
        return FitResult(self.parameters(), rows if left is None else seen, {"loss": total / seen})

    def evaluate(self, parameters: Parameters, config: EvaluateConfig) -> EvaluateResult | None:
        if self.test is None:
            return None
        self._load(parameters)
        self.module.eval()
        total, seen = 0.0, 0
        with torch.no_grad():
            for inputs, targets in self.test:
                total += float(self.loss(self.module(inputs), targets)) * len(targets)
                seen += len(targets)
        return EvaluateResult(total / seen, seen) if seen else None
