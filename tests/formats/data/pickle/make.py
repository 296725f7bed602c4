"""Makes the files beside it: ordinary pickles and joblib dumps of ordinary things, all of which must pass.

Run in an environment of its own: numpy 2.4, scipy 1.17, scikit-learn 1.9, pandas 3.1, joblib 1.6, lz4, lightgbm 4.7.
Nothing here is imported by the tests.
"""

import argparse
import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import pickle
import random
import re
import types
import uuid
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import scipy.sparse
from scipy import stats
from scipy.interpolate import CubicSpline
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, StandardScaler

HERE = Path(__file__).parent
X, y = make_classification(30, 6, random_state=0)
TEXTS = ["hello world", "good bye world", "a b c d"] * 10


def pickled(name: str, value: object, protocols: tuple[int, ...]) -> None:
    for protocol in protocols:
        (HERE / f"{name}.p{protocol}.pkl").write_bytes(pickle.dumps(value, protocol))


def dumped(name: str, value: object, *compressions: str) -> None:
    joblib.dump(value, HERE / f"{name}.joblib")
    for compression in compressions:
        joblib.dump(
            value,
            HERE / f"{name}.joblib.{compression}",
            compress=({"gz": "gzip", "z": "zlib"}.get(compression, compression), 3),
        )


PLAIN = {
    "constants": [
        1,
        2.5,
        None,
        True,
        "x",
        b"y",
        10**40,
        -1,
        complex(1, 2),
        Ellipsis,
        NotImplemented,
        type(None),
    ],
    "containers": [
        (1,),
        {1, 2},
        frozenset([3]),
        bytearray(b"zz"),
        range(3),
        slice(1, 2),
        ValueError("x"),
        int,
        len,
    ],
}
LIBRARY = [
    datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), datetime.date(2026, 1, 2), datetime.timedelta(1),
    decimal.Decimal("1.5"), fractions.Fraction(1, 3), pathlib.PurePosixPath("a/b"), uuid.UUID(int=3),
    collections.OrderedDict(a=1), collections.defaultdict(list, {1: [2]}), collections.Counter("abc"), collections.deque([1], 3),
    re.compile("a+", re.IGNORECASE), argparse.Namespace(x=1), random.Random(3), types.SimpleNamespace(a=1), functools.partial(int, base=2),
]  # fmt: skip
ARRAYS = {
    "rows": np.arange(6.0).reshape(2, 3), "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "objects": np.array(["a", None, 3], dtype=object),
    "text": np.array(["ab", "c"]), "bytes": np.array([b"ab"]), "records": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "mixed": np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "dates": np.array(["2020-01-01"], dtype="M8[ns]"), "scalar": np.float32(1.5),
    "big": np.arange(3, dtype=">i4"), "masked": np.ma.array([1, 2], mask=[0, 1]), "zero": np.array(1.5), "empty": np.zeros((0, 3)),
    "generator": np.random.default_rng(0), "sub": np.zeros(2, dtype=("f4", (2, 2))), "recarray": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "function": np.exp, "type": np.float64,
}  # fmt: skip
FRAME = pd.DataFrame(
    {
        "a": [1, 2],
        "b": ["x", "y"],
        "c": pd.to_datetime(["2020", "2021"]),
        "d": pd.Categorical(["u", "v"]),
        "e": pd.array([1, None], dtype="Int64"),
    }
)

if __name__ == "__main__":
    pickled("plain", PLAIN, (0, 1, 2, 3, 4, 5))
    pickled("library", LIBRARY, (2, 4))
    pickled("arrays", ARRAYS, (0, 2, 5))
    dumped("arrays", ARRAYS, "gz")
    logistic = LogisticRegression().fit(X, y)
    pickled("logistic", logistic, (0, 2, 4))
    dumped("logistic", logistic, "z", "gz", "bz2", "xz", "lzma", "lz4")
    dumped("forest", RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, y))
    dumped("boosting", HistGradientBoostingClassifier(max_iter=2).fit(X, y))
    dumped("bins", KBinsDiscretizer().fit(X))
    dumped("neighbours", KNeighborsClassifier(algorithm="ball_tree").fit(X, y))
    dumped(
        "text",
        Pipeline([("words", TfidfVectorizer(stop_words="english")), ("head", LogisticRegression())]).fit(
            TEXTS, y
        ),
    )
    columns = [
        ("n", StandardScaler(), [0, 1]),
        ("o", OneHotEncoder(), [2]),
        ("d", "drop", [4]),
        ("f", FunctionTransformer(np.log1p), [5]),
    ]
    pickled("columns", ColumnTransformer(columns).fit(np.abs(X)), (4,))
    pickled(
        "search",
        GridSearchCV(
            LogisticRegression(), {"C": stats.uniform(0, 1).rvs(2, random_state=0)}, cv=KFold(2)
        ).fit(X, y),
        (4,),
    )
    pickled(
        "scipy",
        [scipy.sparse.eye(3).tocsr(), CubicSpline([0, 1, 2, 3], [0, 1, 4, 9]), stats.uniform(0, 1)],
        (4,),
    )
    pickled("frame", FRAME, (2, 5))
    dumped("lightgbm", lightgbm.LGBMClassifier(n_estimators=1, verbose=-1).fit(X, y))
    np.save(HERE / "rows.npy", ARRAYS["rows"])
    np.save(HERE / "columns.npy", ARRAYS["columns"])
    np.save(HERE / "objects.npy", ARRAYS["objects"], allow_pickle=True)
    np.save(HERE / "records.npy", ARRAYS["records"])
    np.save(HERE / "big.npy", ARRAYS["big"])
