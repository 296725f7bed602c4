"""Makes `benign/`: small files as the real libraries write them, none of which may be refused.

Run by hand, where torch 2.13, scikit-learn, pandas, scipy, joblib, lz4, h5py, onnx, gguf, safetensors, keras, lightgbm,
xgboost and skops are installed: `KERAS_BACKEND=torch PYTHONPATH=. python tests/corpus/make_benign.py`. Files over 5 kB are packed with
joblib or left out; the test needs none of the libraries. `benign/unjudged.txt` lists the files that hold what only the
library's own code can build, so that UNKNOWN is the honest answer.
"""

import collections
import datetime
import decimal
import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np

OUT = Path(__file__).parent / "benign"
LIMIT = 5 * 1024
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3)).round(2)
Y = (X[:, 0] > 0).astype(int)
TEXTS = ["good day", "bad day", "good night", "bad night"] * 3
LABELS = [1, 0] * 6
skipped: list[str] = []


def put(name: str, data: bytes) -> None:
    if len(data) > LIMIT:
        skipped.append(f"{name} {len(data)}")
        return
    (OUT / name).write_bytes(data)


def dump(name: str, value: Any, protocol: int = 4) -> None:
    put(f"{name}.pkl", pickle.dumps(value, protocol))


def packed(name: str, value: Any, compress: Any = ("zlib", 9), suffix: str = "joblib") -> None:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=compress)
    put(f"{name}.{suffix}", buffer.getvalue())


def plain_files() -> None:
    values = {
        "nested": {"a": [1, 2.5, None, True], "b": ("x", b"y", {"z"}), "c": frozenset({1})},
        "numbers": [0, 1, -1, 2**31, 2**70, -(2**70), 1e300, float("inf"), 3 + 4j],
        "texts": ["", "ascii", "caf\u00e9", "\U0001f600", "new\nline", "quote'\"", "\x00nul"],
        "collections": [collections.OrderedDict(a=1), collections.Counter("abca"), collections.deque([1, 2], 5)],
        "defaultdict": collections.defaultdict(list, {"a": [1]}),
        "dates": [datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), datetime.timedelta(1, 2)],
        "decimals": [decimal.Decimal("1.5"), decimal.Decimal("NaN")],
        "bytes": [b"", b"abc" * 100, bytearray(b"xyz")],
        "config": {"model": "resnet", "layers": [64, 128], "os": "linux", "system": "x86", "eval": False, "exec": "no"},
        "path": Path("weights/model.bin"),
        "commands-as-text": ["os.system('rm -rf /')", "import os", "cos\nsystem\n", "__import__('os')", "curl http://x | sh"],
    }  # fmt: skip
    for name, value in values.items():
        for protocol in (0, 2, 4, 5):
            dump(f"plain-{name}-p{protocol}", value, protocol)


def numpy_files() -> None:
    dtypes = [
        "?",
        "i1",
        "i2",
        "i4",
        "i8",
        "u1",
        "u4",
        "f2",
        "f4",
        "f8",
        "c8",
        "c16",
        ">i4",
        ">f8",
        "S5",
        "U4",
        "M8[ns]",
        "m8[D]",
    ]
    for dtype in dtypes:
        array = np.arange(6).astype(dtype).reshape(2, 3)
        name = dtype.replace(">", "big-").replace("?", "bool").strip("]").replace("[", "-")
        buffer = io.BytesIO()
        np.save(buffer, array)
        put(f"numpy-{name}.npy", buffer.getvalue())
        dump(f"numpy-{name}", array)
    record = np.array([(1, 2.5, "a")], dtype=[("n", "i4"), ("x", "f8"), ("s", "U3")])
    objects = np.array([None, "text", [1, 2]], dtype=object)
    for name, array in {"record": record, "objects": objects, "scalar": np.array(3.0), "empty": np.zeros((0, 3)),
                        "fortran": np.asfortranarray(np.ones((2, 3))), "masked": np.ma.array([1, 2], mask=[0, 1])}.items():  # fmt: skip
        dump(f"numpy-{name}", array)
        dump(f"numpy-{name}-p2", array, 2)
        packed(f"numpy-{name}", array)
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3), b=np.arange(4))
    put("numpy-arrays.npz", buffer.getvalue())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=np.zeros((9, 9)))
    put("numpy-compressed.npz", buffer.getvalue())
    dump(
        "numpy-scalars",
        [np.float32(1.5), np.int64(3), np.bool_(True), np.str_("x"), np.datetime64("2026-01-01")],
    )
    dump("numpy-rng", np.random.default_rng(1))
    dump("numpy-randomstate", np.random.RandomState(1))
    for codec in ("zlib", "gzip", "bz2", "xz", "lzma", "lz4"):
        packed(f"numpy-{codec}", {"a": np.ones((3, 3)), "b": [1, 2]}, (codec, 3))
    packed("numpy-plain", {"a": np.ones((3, 3)), "b": np.arange(3)}, 0)


def sklearn_files() -> None:
    from sklearn import (
        calibration,
        cluster,
        compose,
        covariance,
        cross_decomposition,
        decomposition,
        discriminant_analysis,
        dummy,
        ensemble,
        feature_extraction,
        feature_selection,
        gaussian_process,
        impute,
        isotonic,
        kernel_approximation,
        kernel_ridge,
        linear_model,
        manifold,
        mixture,
        model_selection,
        multiclass,
        multioutput,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        random_projection,
        semi_supervised,
        svm,
        tree,
    )

    lm, pre = linear_model, preprocessing
    models: dict[str, Any] = {
        "logistic": lm.LogisticRegression(), "linear": lm.LinearRegression(), "ridge": lm.Ridge(), "ridge-cv": lm.RidgeCV(),
        "lasso": lm.Lasso(), "elastic": lm.ElasticNet(), "sgd": lm.SGDClassifier(), "perceptron": lm.Perceptron(),
        "passive": lm.PassiveAggressiveClassifier() if hasattr(lm, "PassiveAggressiveClassifier") else lm.RidgeClassifier(),
        "bayes-ridge": lm.BayesianRidge(), "huber": lm.HuberRegressor(), "poisson": lm.PoissonRegressor(), "lars": lm.Lars(),
        "forest": ensemble.RandomForestClassifier(2, max_depth=2), "extra": ensemble.ExtraTreesRegressor(2, max_depth=2),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=2, max_depth=1), "hist": ensemble.HistGradientBoostingClassifier(max_iter=2, max_depth=2, min_samples_leaf=2),
        "ada": ensemble.AdaBoostClassifier(n_estimators=2), "bagging": ensemble.BaggingClassifier(n_estimators=2), "isolation": ensemble.IsolationForest(n_estimators=2, max_samples=4),
        "voting": ensemble.VotingClassifier([("a", lm.LogisticRegression()), ("b", naive_bayes.GaussianNB())]),
        "stacking": ensemble.StackingClassifier([("a", naive_bayes.GaussianNB())], cv=2),
        "tree": tree.DecisionTreeClassifier(max_depth=2), "tree-regressor": tree.DecisionTreeRegressor(max_depth=2),
        "svc": svm.SVC(probability=False), "linear-svc": svm.LinearSVC(), "svr": svm.SVR(), "nu-svc": svm.NuSVC(nu=0.2), "one-class": svm.OneClassSVM(),
        "knn": neighbors.KNeighborsClassifier(3), "knn-ball": neighbors.KNeighborsClassifier(3, algorithm="ball_tree"), "knn-kd": neighbors.KNeighborsRegressor(3, algorithm="kd_tree"),
        "radius": neighbors.RadiusNeighborsClassifier(5.0), "centroid": neighbors.NearestCentroid(), "lof": neighbors.LocalOutlierFactor(3, novelty=True), "kde": neighbors.KernelDensity(),
        "gaussian-nb": naive_bayes.GaussianNB(), "bernoulli-nb": naive_bayes.BernoulliNB(), "mlp": neural_network.MLPClassifier(hidden_layer_sizes=(3,), max_iter=3), "mlp-regressor": neural_network.MLPRegressor(hidden_layer_sizes=(3,), max_iter=3),
        "rbm": neural_network.BernoulliRBM(2, n_iter=1), "kmeans": cluster.KMeans(2, n_init=1), "minibatch": cluster.MiniBatchKMeans(2, n_init=1), "dbscan": cluster.DBSCAN(), "birch": cluster.Birch(n_clusters=2),
        "agglomerative": cluster.AgglomerativeClustering(2), "meanshift": cluster.MeanShift(), "spectral": cluster.SpectralClustering(2), "affinity": cluster.AffinityPropagation(),
        "pca": decomposition.PCA(2), "svd": decomposition.TruncatedSVD(2), "ica": decomposition.FastICA(2), "factor": decomposition.FactorAnalysis(2), "kernel-pca": decomposition.KernelPCA(2, kernel="rbf"),
        "scaler": pre.StandardScaler(), "minmax": pre.MinMaxScaler(), "robust": pre.RobustScaler(), "normalizer": pre.Normalizer(), "polynomial": pre.PolynomialFeatures(), "power": pre.PowerTransformer(),
        "quantile": pre.QuantileTransformer(n_quantiles=5), "bins": pre.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), "splines": pre.SplineTransformer(3), "function": pre.FunctionTransformer(np.log1p), "binarizer": pre.Binarizer(),
        "onehot": pre.OneHotEncoder(), "ordinal": pre.OrdinalEncoder(), "target": pre.TargetEncoder(cv=2), "imputer": impute.SimpleImputer(), "knn-imputer": impute.KNNImputer(),
        "kbest": feature_selection.SelectKBest(k=2), "from-model": feature_selection.SelectFromModel(lm.LogisticRegression()), "rfe": feature_selection.RFE(lm.LogisticRegression()), "variance": feature_selection.VarianceThreshold(),
        "lda": discriminant_analysis.LinearDiscriminantAnalysis(), "qda": discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1), "gmm": mixture.GaussianMixture(2), "bgmm": mixture.BayesianGaussianMixture(n_components=2),
        "gpc": gaussian_process.GaussianProcessClassifier(), "gpr": gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()),
        "kernel-ridge": kernel_ridge.KernelRidge(), "rbf-sampler": kernel_approximation.RBFSampler(n_components=3), "nystroem": kernel_approximation.Nystroem(n_components=3), "projection": random_projection.GaussianRandomProjection(2),
        "pls": cross_decomposition.PLSRegression(2), "covariance": covariance.EmpiricalCovariance(), "isomap": manifold.Isomap(n_neighbors=4), "calibrated": calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2),
        "ovr": multiclass.OneVsRestClassifier(lm.LogisticRegression()), "multioutput": multioutput.MultiOutputClassifier(lm.LogisticRegression()), "label-spreading": semi_supervised.LabelSpreading(), "dummy": dummy.DummyClassifier(),
        "pipeline": pipeline.make_pipeline(pre.StandardScaler(), lm.LogisticRegression()), "union": pipeline.make_union(pre.StandardScaler(), decomposition.PCA(1)),
        "columns": compose.ColumnTransformer([("a", pre.StandardScaler(), [0, 1]), ("b", "passthrough", [2])]), "ttr": compose.TransformedTargetRegressor(lm.LinearRegression(), transformer=pre.StandardScaler()),
        "grid": model_selection.GridSearchCV(lm.LogisticRegression(), {"C": [0.1, 1]}, cv=2), "random-search": model_selection.RandomizedSearchCV(lm.Ridge(), {"alpha": [0.1, 1]}, n_iter=1, cv=2),
    }  # fmt: skip
    for number, (name, model) in enumerate(models.items()):
        target = np.column_stack([Y, 1 - Y]) if name == "multioutput" else np.abs(Y)
        fitted = model.fit(X, target)
        packed(f"sklearn-{name}", fitted)
        if number % 3 == 0:
            dump(f"sklearn-{name}", fitted, 2 + number % 4)
    text = feature_extraction.text
    words = {
        "count": text.CountVectorizer(), "tfidf": text.TfidfVectorizer(), "hashing": text.HashingVectorizer(n_features=8), "tfidf-char": text.TfidfVectorizer(analyzer="char", ngram_range=(1, 2)),
    }  # fmt: skip
    for name, vectorizer in words.items():
        packed(f"sklearn-{name}", vectorizer.fit(TEXTS))
        packed(
            f"sklearn-{name}-pipeline",
            pipeline.make_pipeline(
                vectorizer, naive_bayes.MultinomialNB() if name != "hashing" else lm.LogisticRegression()
            ).fit(TEXTS, LABELS),
        )
    packed("sklearn-dict", feature_extraction.DictVectorizer().fit([{"a": 1, "b": "x"}]))
    packed("sklearn-labels", pre.LabelEncoder().fit(["a", "b"]))
    packed("sklearn-multilabel", pre.MultiLabelBinarizer().fit([["a"], ["b"]]))
    packed("sklearn-isotonic", isotonic.IsotonicRegression().fit(X[:, 0], Y))


def pandas_files() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"n": [1, 2], "x": [0.5, None], "s": ["a", "b"], "t": pd.to_datetime(["2026-01-01", "2026-01-02"])}
    )
    values = {
        "frame": frame, "series": frame["n"], "index": pd.Index(["a", "b"]), "categories": pd.Series(["a", "b", "a"], dtype="category"), "multi": frame.set_index(["n", "s"]),
        "dates": pd.date_range("2026-01-01", periods=3), "periods": pd.period_range("2026", periods=3, freq="M"), "intervals": pd.interval_range(0, 3), "nullable": pd.Series([1, None], dtype="Int64"),
        "strings": pd.Series(["a", None], dtype="string"), "timezone": pd.Series(pd.to_datetime(["2026-01-01"]).tz_localize("UTC")), "timestamp": pd.Timestamp("2026-01-01"), "delta": pd.Timedelta("1D"),
        "range": pd.RangeIndex(5), "booleans": pd.Series([True, None], dtype="boolean"), "sparse": pd.Series([0, 1, 0], dtype="Sparse[int]"),
    }  # fmt: skip
    for name, value in values.items():
        dump(f"pandas-{name}", value)
        dump(f"pandas-{name}-p5", value, 5)


def scipy_files() -> None:
    from scipy import interpolate, sparse, spatial, stats

    grid = np.linspace(0, 1, 5)
    values: dict[str, Any] = {
        "csr": sparse.csr_matrix(np.eye(3)), "csc": sparse.csc_matrix(np.eye(3)), "coo": sparse.coo_matrix(np.eye(3)), "csr-array": sparse.csr_array(np.eye(3)), "dok": sparse.dok_matrix(np.eye(2)), "lil": sparse.lil_matrix(np.eye(2)),
        "spline": interpolate.CubicSpline(grid, grid**2), "bspline": interpolate.make_interp_spline(grid, grid), "interp1d": interpolate.interp1d(grid, grid), "pchip": interpolate.PchipInterpolator(grid, grid),
        "kdtree": spatial.cKDTree(X), "norm": stats.norm(0, 1), "kde": stats.gaussian_kde(grid), "rotation": spatial.transform.Rotation.identity(),
    }  # fmt: skip
    for name, value in values.items():
        dump(f"scipy-{name}", value)


def torch_files() -> None:
    import torch
    from torch import nn, optim

    torch.manual_seed(0)

    def save(name: str, value: Any, **options: Any) -> None:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        put(f"torch-{name}.pt", buffer.getvalue())

    nets: dict[str, nn.Module] = {
        "linear": nn.Linear(2, 1), "conv": nn.Conv2d(1, 1, 3), "norm": nn.BatchNorm1d(2), "embedding": nn.Embedding(3, 2), "lstm": nn.LSTM(1, 1), "attention": nn.MultiheadAttention(2, 1),
        "sequential": nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Dropout(), nn.Linear(2, 1)),
    }  # fmt: skip
    for name, net in nets.items():
        save(f"state-{name}", net.state_dict())
        save(f"state-{name}-legacy", net.state_dict(), _use_new_zipfile_serialization=False)
        save(f"module-{name}", net)
    for name, kind in {
        "sgd": optim.SGD,
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
    }.items():
        net = nn.Linear(2, 1)
        optimizer = kind(net.parameters(), lr=0.1)
        schedule = optim.lr_scheduler.StepLR(optimizer, 2)
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        save(
            f"checkpoint-{name}",
            {
                "epoch": 1,
                "model": net.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "loss": 0.5,
            },
        )
    tensors = {
        "dtypes": [torch.zeros(2, dtype=getattr(torch, d)) for d in ("float64", "float16", "bfloat16", "int8", "uint8", "bool", "complex64")], "float8": torch.zeros(2).to(torch.float8_e4m3fn),
        "parameter": nn.Parameter(torch.ones(2)), "sparse": torch.eye(2).to_sparse(), "views": (lambda t: [t, t[1:], t[::2]])(torch.arange(6.0)), "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "size": torch.Size([1, 2]), "device": torch.device("cpu"), "generator": torch.get_rng_state()[:100].clone(), "ordered": collections.OrderedDict(a=torch.ones(1)), "numpy": {"a": np.ones(2)}, "requires-grad": torch.ones(2, requires_grad=True),
        "uint16": torch.zeros(2, dtype=torch.uint16), "empty": torch.zeros(0),
    }  # fmt: skip
    for name, value in tensors.items():
        save(f"tensor-{name}", value)
    put("torch-pickled.pkl", pickle.dumps({"a": torch.ones(2)}, 4))


def framework_files() -> None:
    import gguf
    import h5py
    import onnx
    import torch
    from onnx import TensorProto, helper
    from safetensors.numpy import save as save_safetensors
    from safetensors.torch import save as save_torch

    put(
        "safetensors-numpy.safetensors",
        save_safetensors({"a": np.ones((2, 2), np.float32), "b": np.arange(3)}, {"format": "np"}),
    )
    put(
        "safetensors-torch.safetensors",
        save_torch({"a": torch.ones(2, dtype=torch.bfloat16)}, {"format": "pt"}),
    )
    put("safetensors-empty.safetensors", save_safetensors({}))
    put("safetensors-scalar.safetensors", save_safetensors({"s": np.array(1.0)}))
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 2]) for n in ("x", "y")]
    for op in ("Relu", "Sigmoid", "Softmax", "Identity", "Neg", "Exp"):
        graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", info[:1], info[1:])
        put(f"onnx-{op.lower()}.onnx", helper.make_model(graph, producer_name="tests").SerializeToString())
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", info[:1], info[1:], [weight]
    )
    put("onnx-matmul.onnx", helper.make_model(graph, doc_string="a text").SerializeToString())
    scaler = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])
    graph = helper.make_graph([scaler], "g", info[:1], info[1:])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    put("onnx-ml.onnx", helper.make_model(graph, opset_imports=opsets).SerializeToString())
    assert onnx.__version__
    for name, template in {
        "plain": None,
        "chat": "{% for m in messages %}{{ m.content }}{% endfor %}",
    }.items():
        path = OUT / f"gguf-{name}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_array("tokenizer.ggml.tokens", ["<s>", "</s>"])
        if template:
            writer.add_chat_template(template)
        writer.add_tensor("w", np.ones((4, 8), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    for name, options in {"plain": {}, "gzip": {"compression": "gzip", "chunks": True}, "latest": {}}.items():
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", libver="latest" if name == "latest" else None) as file:
            file.create_dataset("a", data=np.ones((3, 3)), **options)
            file.attrs["note"] = "made for tests"
        put(f"hdf5-{name}.h5", buffer.getvalue())


def booster_files() -> None:
    import lightgbm
    import xgboost

    parameters = {"num_leaves": 3, "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(X, Y), 1)
    put("lightgbm-model.txt", booster.model_to_string().encode())
    packed("lightgbm-booster", booster)
    packed(
        "lightgbm-classifier",
        lightgbm.LGBMClassifier(n_estimators=1, num_leaves=3, min_child_samples=2, verbose=-1, n_jobs=1).fit(
            X, Y
        ),
    )
    trained = xgboost.XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(X, Y)
    packed("xgboost-classifier", trained)
    packed("xgboost-booster", trained.get_booster())
    put("xgboost-model.json", bytes(trained.get_booster().save_raw("json")))


def keras_files() -> None:
    import keras

    layers = keras.layers
    stacks = {
        "dense": [layers.Dense(1)], "activations": [layers.Dense(2, activation="gelu"), layers.Softmax()], "dropout": [layers.Dense(2), layers.Dropout(0.1)], "norm": [layers.Dense(2), layers.LayerNormalization()],
    }  # fmt: skip
    for name, stack in stacks.items():
        model = keras.Sequential([keras.Input((2,)), *stack])
        put(f"keras-{name}.json", model.to_json().encode())
        model.save(OUT / f"keras-{name}.keras")
    for path in OUT.glob("keras-*.keras"):
        if path.stat().st_size > 4 * LIMIT:
            path.unlink()


def skops_files() -> None:
    import skops.io
    from sklearn.linear_model import LinearRegression

    put("skops-linear.skops", skops.io.dumps(LinearRegression().fit(X, Y)))


PARTS: tuple[Callable[[], None], ...] = (
    plain_files, numpy_files, sklearn_files, pandas_files, scipy_files, torch_files, framework_files, booster_files, keras_files, skops_files,
)  # fmt: skip

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    OUT.mkdir(exist_ok=True)
    for part in PARTS:
        part()
    print("\n".join(skipped))
