"""Writes tree-shap.json: models of LightGBM, rows, and what LightGBM and shap say of them.

pip install lightgbm==4.6.0 shap scikit-learn; python testdata/make_shap.py > testdata/tree-shap.json
"""

import json

import lightgbm
import numpy as np
import shap

ROWS, FEATURES = 400, 6


def case(objective: str, seed: int) -> dict:
    random = np.random.default_rng(seed)
    x = np.round(random.normal(size=(ROWS, FEATURES)), 3)
    signal = x[:, 0] - 2 * x[:, 1] * (x[:, 2] > 0) + np.sin(3 * x[:, 3]) + 0.1 * random.normal(size=ROWS)
    y = signal if objective == "regression" else (signal > 0).astype(float)
    parameters = {
        "objective": objective, "num_leaves": 9, "learning_rate": 0.3, "min_data_in_leaf": 5, "seed": seed,
        "deterministic": True, "num_threads": 1, "verbose": -1,
    }
    model = lightgbm.train(parameters, lightgbm.Dataset(x, y), num_boost_round=8)
    # The text ends with settings and names of the writer's machine, which are no part of the trees.
    text = model.model_to_string().split("end of trees")[0] + "end of trees\n"
    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    rows = []
    for row in x[:10]:
        own = model.predict(row.reshape(1, -1), pred_contrib=True)[0]
        values = np.array(explainer.shap_values(row.reshape(1, -1)))
        values = values[-1] if values.ndim == 3 else values
        base = np.atleast_1d(explainer.expected_value)[-1]
        rows.append({
            "x": row.tolist(), "raw": float(model.predict(row.reshape(1, -1), raw_score=True)[0]),
            "lightgbm": own.tolist(), "shap": [*values.reshape(-1).tolist(), float(base)],
        })
    return {"objective": objective, "model": text, "rows": rows}


print(json.dumps({
    "lightgbm": lightgbm.__version__, "shap": shap.__version__,
    "cases": [case("regression", 1), case("binary", 2)],
}))
