"""Writes xgboost-shap.json: models of XGBoost as it saves them, rows, and what XGBoost says of them (pred_contribs).

pip install xgboost==3.2.0 numpy; python testdata/make_xgboost_shap.py > testdata/xgboost-shap.json
"""

import json

import numpy as np
import xgboost

ROWS, FEATURES = 400, 6
NAMES = [f"x{i}" for i in range(FEATURES)]


def case(objective: str, seed: int) -> dict:
    random = np.random.default_rng(seed)
    # Two decimals, so that rows meet thresholds now and then.
    x = np.round(random.normal(size=(ROWS, FEATURES)), 2)
    signal = x[:, 0] - 2 * x[:, 1] * (x[:, 2] > 0) + np.sin(3 * x[:, 3]) + 0.1 * random.normal(size=ROWS)
    y = signal if objective == "reg:squarederror" else (signal > 0.3).astype(float)
    parameters = {"objective": objective, "max_depth": 4, "eta": 0.3, "seed": seed, "nthread": 1, "tree_method": "exact"}
    model = xgboost.train(parameters, xgboost.DMatrix(x, y, feature_names=NAMES), num_boost_round=8)
    rows = xgboost.DMatrix(x[:10], feature_names=NAMES)
    raw = model.predict(rows, output_margin=True)
    probability = model.predict(rows)
    contributions = model.predict(rows, pred_contribs=True)
    return {
        "objective": objective,
        "model": bytes(model.save_raw("json")).decode(),
        "rows": [
            {"x": x[i].tolist(), "raw": float(raw[i]), "output": float(probability[i]), "xgboost": contributions[i].tolist()}
            for i in range(10)
        ],
    }


print(json.dumps({
    "xgboost": xgboost.__version__,
    "cases": [case("reg:squarederror", 1), case("binary:logistic", 2)],
}))
