"""What is hooked, module by module. No library is imported here: each is hooked where, and when, somebody imported it.

Hooks stand at the function that opens the file, whatever names lead to it: `safetensors.torch.load_file` and
`transformers` end in `safe_open`, `keras.models.load_model` in `saving_api`. Not hooked, and why: docs/integrations.md.
"""

from collections.abc import Mapping
from types import ModuleType

from weighbridge.integrations import hub, onnx, pickles
from weighbridge.integrations.arguments import file_argument, folder_argument
from weighbridge.integrations.patching import Install, Patches


def _functions(*hooks: tuple[str, str, int]) -> Install:
    """An installer for functions that take a file: (function, argument, its position)."""

    def install(module: ModuleType, patches: Patches) -> None:
        for name, argument, position in hooks:
            patches.function(module, name, file_argument(argument, position))

    return install


def _llama(module: ModuleType, patches: Patches) -> None:
    patches.method(getattr(module, "Llama", None), "__init__", file_argument("model_path", 1))


def _gguf(module: ModuleType, patches: Patches) -> None:
    patches.method(getattr(module, "GGUFReader", None), "__init__", file_argument("path", 1))


def _saved_model(module: ModuleType, patches: Patches) -> None:
    patches.function(module, "load", folder_argument("export_dir"))


def _keras_model(module: ModuleType, patches: Patches) -> None:
    """`load_weights(model, path)` is a function of the saving API; old Keras has it as a method too."""
    _functions(("load_model", "filepath", 0), ("load_weights", "filepath", 1))(module, patches)


INSTALLERS: Mapping[str, Install] = {
    "safetensors._safetensors_rust": _functions(("safe_open", "filename", 0), ("_safe_open_handle", "f", 0)),
    "torch.serialization": _functions(("load", "f", 0)),
    "torch.jit._serialization": _functions(("load", "f", 0)),
    "torch.export": _functions(("load", "f", 0)),
    "numpy.lib._npyio_impl": _functions(("load", "file", 0)),
    "numpy.lib.npyio": _functions(("load", "file", 0)),
    "joblib.numpy_pickle": _functions(("load", "filename", 0)),
    "keras.src.saving.saving_api": _keras_model,
    "keras.src.legacy.saving.legacy_h5_format": _functions(("load_model_from_hdf5", "filepath", 0)),
    "tf_keras.src.saving.saving_api": _keras_model,
    "onnxruntime.capi.onnxruntime_inference_collection": onnx.install,
    "llama_cpp.llama": _llama,
    "gguf.gguf_reader": _gguf,
    "tensorflow.python.saved_model.load": _saved_model,
    "pickle": pickles.install,
    "_pickle": pickles.install,
    "huggingface_hub.file_download": hub.install_file,
    "huggingface_hub._snapshot_download": hub.install_snapshot,
    "transformers.utils.hub": hub.install_transformers,
    **hub.PLAIN,
}
"""Module → what is hooked in it."""
