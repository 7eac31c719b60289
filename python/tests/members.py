"""The trainers of `test_members.py`: `python members.py torch` or `python members.py sklearn`, run by `cw member start`.

A client reads its rows when the first request names their file, as a member's own script would.
"""

import csv
import sys

import numpy as np

import counterweight as cw


def rows_of(path: str) -> tuple[np.ndarray, np.ndarray]:
    with open(path, newline="") as file:
        table = list(csv.DictReader(file))
    labels = np.array([row.pop("diagnosis") == "malignant" for row in table])
    return np.array([[float(value) for value in row.values()] for row in table]), labels


class Lazy(cw.Client):
    """Makes its client of the rows that the first request names."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.client: cw.Client | None = None

    def made(self, data: str) -> cw.Client:
        if self.client is None:
            rows, labels = rows_of(data)
            public, _ = rows_of("data/holdout.csv")
            rows = (rows - public.mean(axis=0)) / public.std(axis=0, ddof=1)
            self.client = {"torch": torch_client, "sklearn": sklearn_client}[self.kind](rows, labels)
        return self.client

    def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
        print("this belongs to stderr, and does not spoil the answer")
        return self.made(config.data).fit(parameters, config)

    def evaluate(self, parameters: cw.Parameters, config: cw.EvaluateConfig) -> cw.EvaluateResult | None:
        return self.made(config.data).evaluate(parameters, config)


def torch_client(rows: np.ndarray, labels: np.ndarray) -> cw.Client:
    import torch

    from counterweight.torch import TorchClient

    class Logistic(torch.nn.Module):
        """Its state has the names of a built-in linear model's tensors."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(rows.shape[1], 1)])

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layers[0](inputs).squeeze(1)

    data = torch.utils.data.TensorDataset(torch.tensor(rows).float(), torch.tensor(labels).float())
    batches = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return TorchClient(Logistic(), batches, loss=loss, test=batches)


def sklearn_client(rows: np.ndarray, labels: np.ndarray) -> cw.Client:
    from sklearn.linear_model import SGDClassifier

    from counterweight.sklearn import LinearClient

    return LinearClient(SGDClassifier(loss="log_loss", alpha=0), rows, labels, test=(rows, labels))


if __name__ == "__main__":
    cw.serve(Lazy(sys.argv[1]))
