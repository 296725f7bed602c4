"""The Hub's client and transformers: downloads land in quarantine, are weighed there, and only then put in place.

The quarantine is a cache of its own beside the real one, so that moving is a rename; it begins with links to what the
real cache has of the repository, so that nothing is fetched twice. A file is weighed as part of its repository: the
repository's signature is fetched with it. What is refused is removed, and never was where a program would look for it.

transformers finds files in the cache, or in a folder, without the client. What it finds is weighed too, and small files
(configuration, tokenizer, templates) are handed over as sealed memory; weights are left to the hook of the library that
opens them, and Python files are weighed but opened by their path, since transformers looks for their neighbours.
"""

import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from weighbridge.core.artifact import SIBLINGS_SUFFIX, SIGNATURE_NAME
from weighbridge.core.refused import LoadRefused
from weighbridge.integrations.active import active, admit, guards, inside
from weighbridge.integrations.patching import Install, Patches
from weighbridge.integrations.places import home_of
from weighbridge.integrations.shelf import shelf
from weighbridge.loading import hold
from weighbridge.measure.tensors import WEIGHTS

QUARANTINE = ".weighbridge-quarantine-"
SIGNATURES = (SIGNATURE_NAME, SIGNATURE_NAME + SIBLINGS_SUFFIX)


def install_file(module: ModuleType, patches: Patches) -> None:
    """`hf_hub_download`."""
    patches.function(module, "hf_hub_download", _hooked_file)


def install_snapshot(module: ModuleType, patches: Patches) -> None:
    """`snapshot_download`."""
    patches.function(module, "snapshot_download", _hooked_snapshot)


def install_transformers(module: ModuleType, patches: Patches) -> None:
    """`cached_files`, which every `from_pretrained` asks."""
    patches.function(module, "cached_files", _hooked_cached)


def plainly(original: Any) -> Any:
    """A hook for what turns every exception into one of its own: a refusal comes out as what it is."""
    function = original.__func__ if isinstance(original, classmethod) else original

    @functools.wraps(function)
    def hooked(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except LoadRefused:
            raise
        except Exception as error:
            refusal = _refusal_behind(error)
            if refusal is None:
                raise
            raise refusal from None

    return classmethod(hooked) if isinstance(original, classmethod) else hooked


def _refusal_behind(error: BaseException | None) -> LoadRefused | None:
    for _ in range(20):
        if error is None or isinstance(error, LoadRefused):
            return error
        error = error.__cause__ or error.__context__
    return None


def plain_methods(*wanted: tuple[str, str]) -> Install:
    """An installer that lets refusals through the (class, method)s of a module."""

    def install(module: ModuleType, patches: Patches) -> None:
        for cls, name in wanted:
            patches.method(vars(module).get(cls), name, plainly)

    return install


_FROM = "from_pretrained"
PLAIN: dict[str, Install] = {
    "transformers.configuration_utils": plain_methods(("PreTrainedConfig", "get_config_dict"), ("PretrainedConfig", "get_config_dict")),
    "transformers.generation.configuration_utils": plain_methods(("GenerationConfig", _FROM)),
    "transformers.modeling_utils": plain_methods(("PreTrainedModel", _FROM)),
    "transformers.tokenization_utils_base": plain_methods(("PreTrainedTokenizerBase", _FROM)),
    "transformers.processing_utils": plain_methods(("ProcessorMixin", _FROM)),
    "transformers.image_processing_base": plain_methods(("ImageProcessingMixin", _FROM)),
    "transformers.feature_extraction_utils": plain_methods(("FeatureExtractionMixin", _FROM)),
    "transformers.models.auto.auto_factory": plain_methods(("_BaseAutoModelClass", _FROM)),
    "transformers.models.auto.configuration_auto": plain_methods(("AutoConfig", _FROM)),
    "transformers.models.auto.tokenization_auto": plain_methods(("AutoTokenizer", _FROM)),
    "transformers.models.auto.processing_auto": plain_methods(("AutoProcessor", _FROM)),
    "transformers.models.auto.image_processing_auto": plain_methods(("AutoImageProcessor", _FROM)),
    "transformers.models.auto.feature_extraction_auto": plain_methods(("AutoFeatureExtractor", _FROM)),
}  # fmt: skip
"""Where transformers catches everything and raises `OSError` in its place."""


def _hooked_file(original: Any) -> Any:
    @functools.wraps(original)
    def hf_hub_download(repo_id: str, filename: str, *args: Any, **kwargs: Any) -> Any:
        if not _concerned(args, kwargs):
            return original(repo_id, filename, *args, **kwargs)

        def fetch(**where: Any) -> Path:
            got = Path(original(repo_id, filename, **{**kwargs, **where}))
            where |= {"force_download": False, "subfolder": None, "revision": _commit(got)}
            for name in SIGNATURES:
                _try(functools.partial(original, repo_id, name, **{**kwargs, **where}), kwargs)
            return got

        return _fetched(repo_id, fetch, kwargs, partly=True)

    return hf_hub_download


def _hooked_snapshot(original: Any) -> Any:
    @functools.wraps(original)
    def snapshot_download(repo_id: str, *args: Any, **kwargs: Any) -> Any:
        if not _concerned(args, kwargs):
            return original(repo_id, *args, **kwargs)
        wanted = dict(kwargs)
        allowed = kwargs.get("allow_patterns")
        if allowed is not None:  # the signature is wanted whatever else is
            wanted["allow_patterns"] = [*([allowed] if isinstance(allowed, str) else allowed), *SIGNATURES]
        partly = allowed is not None or kwargs.get("ignore_patterns") is not None
        return _fetched(
            repo_id, lambda **where: Path(original(repo_id, **{**wanted, **where})), kwargs, partly=partly
        )

    return snapshot_download


def _concerned(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a download is to be weighed: not a dry run, and not one that is in quarantine already."""
    inner = QUARANTINE in str(kwargs.get("cache_dir") or "")
    return active() and not args and not kwargs.get("dry_run") and not inner


def _try(fetch: Callable[[], Any], kwargs: dict[str, Any]) -> None:
    """Fetch what need not be there. That the hub cannot be asked is no word that there is none."""
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        fetch()
    except LocalEntryNotFoundError:
        if not (kwargs.get("local_files_only") or constants.HF_HUB_OFFLINE):
            raise
    except EntryNotFoundError:
        return


def _fetched(repo_id: str, fetch: Callable[..., Path], kwargs: dict[str, Any], *, partly: bool) -> str:
    """Fetch into quarantine, weigh, put in place; the path that the client would have answered."""
    place = Path(kwargs.get("cache_dir") or _cache())
    place.mkdir(parents=True, exist_ok=True)
    quarantine = Path(tempfile.mkdtemp(prefix=QUARANTINE, dir=place))
    try:
        _seed(place, quarantine, _folder(repo_id, kwargs))
        got = fetch(cache_dir=str(quarantine), local_dir=None)
        snapshot = quarantine.joinpath(*got.relative_to(quarantine).parts[:3])
        _weigh(snapshot, got, partly=partly)
        if kwargs.get("local_dir"):
            return _copied(snapshot, got, Path(kwargs["local_dir"]))
        _put(quarantine, place)
        return str(place / got.relative_to(quarantine))
    finally:
        shutil.rmtree(quarantine, ignore_errors=True)


def _cache() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def _folder(repo_id: str, kwargs: dict[str, Any]) -> str:
    from huggingface_hub.file_download import repo_folder_name

    return str(repo_folder_name(repo_id=repo_id, repo_type=kwargs.get("repo_type") or "model"))


def _commit(got: Path) -> str:
    """The commit that a file in a cache is of, so that its signature is of the same."""
    return got.parts[got.parts.index("snapshots") + 1]


def _weigh(snapshot: Path, got: Path, *, partly: bool) -> None:
    """The whole repository, or the files of it that were fetched. Raises `LoadRefused`."""
    model = str(snapshot)
    only: tuple[str, ...] | None = tuple(_files(snapshot)) if partly else None
    if got != snapshot:
        home = home_of(str(got))
        model, only = home.model, None if home.inside is None else (home.inside,)
    with inside():
        for one in guards():
            whole = hold(one.asked, model, only=only, wanted=lambda path: False)
            one.weighed += len(whole.artifact.members)


def _files(snapshot: Path) -> list[str]:
    found = [
        path.relative_to(snapshot).as_posix() for path in sorted(snapshot.rglob("*")) if not path.is_dir()
    ]
    return [path for path in found if path not in SIGNATURES]


def _seed(place: Path, quarantine: Path, repository: str) -> None:
    """What the cache has already of the repository, as further names of the same files."""
    known = place / repository
    if known.is_dir() and not known.is_symlink():
        shutil.copytree(known, quarantine / repository, symlinks=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _put(quarantine: Path, place: Path) -> None:
    """Move what was weighed to where it belongs, contents before the links to them; each appears whole or not at all."""
    for path in sorted(quarantine.glob("*--*/**/*")):
        target = place / path.relative_to(quarantine)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            target.mkdir(exist_ok=True)
        elif not _same(path, target):
            path.replace(target)


def _same(path: Path, target: Path) -> bool:
    try:
        return target.samefile(path)
    except OSError:  # a link whose contents were moved just now, or nothing is there yet
        return False


def _copied(snapshot: Path, got: Path, folder: Path) -> str:
    """The weighed files as plain ones in a folder of the caller's."""
    wanted = [got] if got != snapshot else [path for path in sorted(snapshot.rglob("*")) if not path.is_dir()]
    for path in wanted:
        target = folder / path.relative_to(snapshot)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        shutil.copyfile(path, part)
        part.replace(target)
    return str(folder / got.relative_to(snapshot))


def _hooked_cached(original: Any) -> Any:
    @functools.wraps(original)
    def cached_files(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        if not active() or not found:
            return found
        if isinstance(found, str):
            return _handed(found)
        return [_handed(path) if isinstance(path, str) else path for path in found]

    return cached_files


def _handed(path: str) -> str:
    """The path to hand to transformers."""
    if shelf().holds(path) or not Path(path).is_file() or path.lower().endswith(WEIGHTS):
        return path
    with inside():
        held = admit(path)[""]
    if path.endswith(".py"):
        return path
    shelf().keep(held)
    return shelf().place(held, path, tail=_tail(path))


def _tail(path: str) -> str:
    """The end of a path in the Hub's cache, in which transformers looks for the commit."""
    parts = path.split("/")
    return "/".join(parts[parts.index("snapshots") :]) if "snapshots" in parts[:-2] else parts[-1]
