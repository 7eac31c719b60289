"""Studies in one process."""

import threading
import traceback

import numpy as np
import pytest

import counterweight as cw


class Line(cw.Client):
    """Learns y = 2x + 1 from rows of its own."""

    def __init__(self, place: int) -> None:
        random = np.random.default_rng(place)
        self.x = random.normal(size=(20 + 10 * place, 1)).astype(np.float32)
        self.y = 2 * self.x + 1

    def parameters(self) -> cw.Parameters:
        return {"weight": np.zeros((1, 1), np.float32), "bias": np.zeros(1, np.float32)}

    def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
        w, b = parameters["weight"], parameters["bias"]
        for _ in range(config.local_epochs):
            error = self.x @ w.T + b - self.y
            w = w - config.lr * error.T @ self.x / len(self.x)
            b = b - config.lr * error.mean(axis=0)
        return cw.FitResult({"bias": b, "weight": w}, len(self.x), {"error": float((error**2).mean())})

    def evaluate(self, parameters: cw.Parameters, config: cw.EvaluateConfig) -> cw.EvaluateResult:
        error = self.x @ parameters["weight"].T + parameters["bias"] - self.y
        return cw.EvaluateResult(float((error**2).mean()), len(self.x))


def clients(count: int = 4) -> list[cw.Client]:
    return [Line(place) for place in range(count)]


def test_a_study_learns_and_tells_its_history() -> None:
    told: list[cw.Round] = []
    result = cw.simulate(clients(), rounds=30, lr=0.3, local_epochs=2, on_round=told.append)
    assert abs(result.parameters["weight"][0, 0] - 2) < 0.05
    assert abs(result.parameters["bias"][0] - 1) < 0.05
    losses = result.history.losses
    assert len(losses) == 31
    assert losses[30] < 0.01 < losses[0]
    assert list(result.history.rounds) == told
    assert (told[0].examples, told[1].examples) == (0, 20 + 30 + 40 + 50)
    assert told[5].fit_metrics["error"] > 0
    assert sum(result.contributions) == pytest.approx(1)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (cw.simulate(clients(), rounds=3, lr=0.3) for _ in range(2))
    assert first.digest == second.digest
    assert first.history == second.history
    drawn = [cw.simulate(clients(), rounds=3, lr=0.3, members_per_round=2, seed=s).digest for s in (1, 2)]
    assert drawn[0] != drawn[1]


def test_a_study_is_the_exact_mean_of_what_clients_send() -> None:
    class Moves(cw.Client):
        def __init__(self, by: float, examples: int) -> None:
            self.by, self.examples = by, examples

        def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
            return cw.FitResult({name: value + self.by for name, value in parameters.items()}, self.examples)

    start = {"a": np.zeros((2, 2)), "b": np.float32(5)}
    result = cw.simulate([Moves(1.0, 1), Moves(4.0, 3)], rounds=2, initial=start)
    assert np.array_equal(result.parameters["a"], np.full((2, 2), 6.5))
    assert result.parameters["b"] == 11.5
    assert result.history.losses == [None, None, None]


def test_rules_of_aggregation_are_those_of_studies() -> None:
    class Liar(Line):
        def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
            return cw.FitResult({name: value - 50 for name, value in parameters.items()}, 60)

    honest = [*clients(5)]
    spoilt = cw.simulate([*honest, Liar(0)], rounds=20, lr=0.3)
    median = cw.simulate([*honest, Liar(0)], rounds=20, lr=0.3, aggregation="median")
    krum = cw.simulate([*honest, Liar(0)], rounds=20, lr=0.3, aggregation={"rule": "krum", "faulty": 1})
    weight = [result.parameters["weight"][0, 0] for result in (spoilt, median, krum)]
    assert abs(weight[0] - 2) > 1
    assert abs(weight[1] - 2) < 0.1
    assert abs(weight[2] - 2) < 0.1


def test_an_exception_of_a_client_is_raised_as_it_is() -> None:
    class Broken(Line):
        def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
            if config.round == 2:
                raise KeyError("no such column")
            return super().fit(parameters, config)

    with pytest.raises(KeyError, match="no such column") as raised:
        cw.simulate([*clients(2), Broken(2)], rounds=5)
    assert any(frame.name == "fit" for frame in traceback.extract_tb(raised.value.__traceback__))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_ends_the_study(interruption: type[BaseException]) -> None:
    class Interrupted(Line):
        def evaluate(self, parameters: cw.Parameters, config: cw.EvaluateConfig) -> cw.EvaluateResult:
            raise interruption

    with pytest.raises(interruption):
        cw.simulate([Interrupted(0)], rounds=2)


@pytest.mark.parametrize(
    ("gives", "problem"),
    [
        ({"weight": np.zeros((1, 1))}, 'no tensor "bias"'),
        ({"weight": np.zeros((2, 1)), "bias": np.zeros(1)}, "has the shape"),
        ({"weight": np.full((1, 1), np.nan), "bias": np.zeros(1)}, "not finite"),
        ({"weight": np.zeros((1, 1)), "bias": np.zeros(1), "more": np.zeros(1)}, '"more"'),
    ],
)
def test_parameters_that_cannot_be_used_are_named(gives: dict[str, np.ndarray], problem: str) -> None:
    class Wrong(Line):
        def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
            return cw.FitResult(gives, 1)

    with pytest.raises(cw.StudyError, match=f"client 1 gave.*{problem}"):
        cw.simulate([Line(0), Wrong(1)], rounds=1)


def test_settings_are_held_to_the_rules_of_studies() -> None:
    with pytest.raises(cw.StudyError, match="training.clip"):
        cw.simulate(clients(), clip=1000)
    with pytest.raises(cw.StudyError, match="training.quorum"):
        cw.simulate(clients(3), aggregation={"rule": "krum", "faulty": 1})
    with pytest.raises(cw.StudyError, match="64 clients"):
        cw.simulate(clients(1) * 65, quorum=1)
    with pytest.raises(cw.StudyError, match="model.tensors"):
        cw.simulate(clients(1), initial={"a b": np.zeros(1)})
    with pytest.raises(ValueError, match="at least one"):
        cw.simulate([])
    with pytest.raises(ValueError, match="examples"):
        cw.simulate([_Examples(-1)], rounds=1)


class _Examples(Line):
    def __init__(self, examples: int) -> None:
        super().__init__(0)
        self.examples = examples

    def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
        return cw.FitResult(parameters, self.examples)


def test_a_client_without_examples_ends_the_study_instead_of_waiting() -> None:
    with pytest.raises(cw.StudyError):
        cw.simulate([_Examples(0)], rounds=1)


def test_other_threads_go_on_while_the_engine_works() -> None:
    results: dict[int, str] = {}

    def study(seed: int) -> None:
        results[seed] = cw.simulate(clients(), rounds=5, lr=0.3, seed=seed).digest

    threads = [threading.Thread(target=study, args=(7,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == {7: cw.simulate(clients(), rounds=5, lr=0.3, seed=7).digest}


def test_a_result_shows_itself_in_a_notebook() -> None:
    html = cw.simulate(clients(), rounds=20, lr=0.3)._repr_html_()
    assert "<svg" in html and "<polyline" in html and "Loss fell from" in html
    assert html.count("<tr>") == 13 and "9 rounds are not shown" in html
    assert "<script" not in html
