"""Reviewed data for the Python rules: what is known to be harmless, and what each dangerous name does.

Packages are allowed by name because importing them is what loading any model does; a few of their functions are not
harmless and stand in `EXACT` and `PREFIX`. Modules of the standard library that can reach outside are allowed name by
name. The tables are words in strings, so that a change reads as a change of words.
"""
# ruff: noqa: SIM905

from weighbridge.core.pattern import late

PACKAGES = frozenset(
    """
    IPython PIL absl accelerate albumentations apex attr attrs auto_gptq autoawq av awq bitsandbytes bs4 catboost
    causal_conv1d certifi charset_normalizer click colorama cv2 datasets decord deepspeed diffusers docopt dotenv einops
    einops_exts evaluate fairscale fairseq faiss fastapi filelock fire fla flash_attn flash_attn_interface flax fsspec
    ftfy gensim gguf gradio grouped_gemm h5py haiku hqq huggingface_hub hydra imageio ipywidgets jax jaxlib jaxtyping
    jieba jinja2 joblib keras keras_nlp kornia langchain librosa lightgbm lightning lightning_fabric llama_cpp llava
    loguru lxml mamba_ssm markdown matplotlib megatron ml_dtypes mlflow mlx mlx_lm mmcv mmengine monai more_itertools
    msgpack msgspec multiprocess natten nemo networkx nltk numba numexpr numpy omegaconf onnx onnxruntime open_clip openai
    opencc optax optimum orjson packaging pandas peft pkg_resources plotly polars protobuf psutil pyarrow pydantic pydub
    pypinyin pytest pytorch_lightning qwen_vl_utils rank_bm25 rdkit regex requests rich rotary_emb sacrebleu sacremoses
    safetensors scipy seaborn selective_scan_cuda sentence_transformers sentencepiece seqeval setuptools setuptools_scm
    shapely simplejson six skimage sklearn sortedcontainers soundfile spacy spacy_transformers starlette statsmodels
    streamlit sympy tabulate tensorboard tensorboardX tensorflow tensorflow_hub tensorflow_text tensorstore termcolor
    thop tiktoken timm tokenizers toml torch torch_geometric torch_scatter torch_xla torchaudio torchdiffeq torchinfo
    torchmetrics torchtext torchvision tqdm transformer_engine transformers triton trl typeguard typer
    typing_extensions tyro ujson unidecode uvicorn vector_quantize_pytorch vllm wandb webdataset wheel xformers xgboost
    xxhash yaml zhconv zstandard detectron2 mambapy ray tensorflow_probability tf_keras xlstm
    """.split()
)
"""Published packages that model code imports; importing one is not the model's doing."""

STDLIB = frozenset(
    """
    __future__ _collections_abc _thread abc argparse array ast base64 binascii bisect bz2 calendar cmath codecs
    collections colorsys concurrent configparser contextlib contextvars copy copyreg csv dataclasses datetime decimal
    difflib dis doctest email enum errno filecmp fnmatch fractions functools gc getopt getpass gettext glob gzip
    hashlib heapq hmac html inspect io ipaddress itertools json keyword linecache locale logging lzma math mimetypes
    numbers opcode operator optparse pathlib platform pprint profile queue random re reprlib sched secrets select
    shlex signal stat statistics string stringprep struct symtable tarfile tempfile textwrap threading time timeit
    token tokenize tomllib traceback tracemalloc types typing unicodedata unittest urllib uuid warnings weakref xml
    zipfile zlib zoneinfo
    """.split()
)
"""Modules of the standard library that do nothing outside by themselves; exceptions stand in the tables below."""

GUARDED: dict[str, frozenset[str]] = {
    "os": frozenset(
        """
        DirEntry F_OK O_RDONLY PathLike R_OK SEEK_CUR SEEK_END SEEK_SET W_OK X_OK access altsep cpu_count curdir
        devnull environ error extsep fsdecode fsencode fspath get_terminal_size getcwd getenv getlogin getpid getppid
        isatty linesep listdir lstat makedirs mkdir name pardir path pathsep readlink rename replace scandir
        sched_getaffinity sep stat stat_result strerror uname urandom utime walk
        """.split()
    ),
    "sys": frozenset(
        """
        api_version argv base_prefix builtin_module_names byteorder exc_info executable exit flags float_info
        getdefaultencoding getfilesystemencoding getrecursionlimit getrefcount getsizeof hash_info hexversion
        implementation int_info intern maxsize maxunicode modules path platform prefix ps1 setrecursionlimit stderr
        stdin stdlib_module_names stdout version version_info warnoptions
        """.split()
    ),
    "importlib": frozenset(
        """
        abc import_module invalidate_caches machinery metadata resources util
        """.split()
    ),
    "shutil": frozenset(
        """
        Error SameFileError copy copy2 copyfile copyfileobj copytree disk_usage get_terminal_size move which
        """.split()
    ),
    "multiprocessing": frozenset(
        """
        Lock Manager Pool Process Queue cpu_count current_process get_context pool set_start_method
        """.split()
    ),
    "asyncio": frozenset(
        """
        CancelledError Event Future Lock Queue Semaphore Task TimeoutError create_task ensure_future gather
        get_event_loop get_running_loop iscoroutine iscoroutinefunction new_event_loop run set_event_loop sleep
        to_thread wait wait_for
        """.split()
    ),
}  # fmt: skip
"""Modules of which only these names are harmless."""

RUNS = "runs a program"
EVALUATES = "runs code from text"
CONNECTS = "opens a network connection"
FETCHES = "fetches something from the network"
NATIVE = "loads native code"
WINDOWS = "calls Windows"
TOUCHES = "changes files or the process"
COMPILES = "compiles and loads native code"
UNPICKLES = "unpickles, which can run anything"
UNPICKLES_FILE = "unpickles a file, which can run anything"
LOADS = "loads a file whose format can run code"
DELETES = "deletes or changes files"
REWIRES = "changes how Python itself works"
REMOTE = "fetches and runs code from a repository"

_DANGERS: dict[str, str] = {
    RUNS: """
        os.system os.popen os.exec* os.spawn* os.posix_spawn* os.startfile os.fork os.forkpty os.kill os.killpg os.dup*
        posix.* nt.* subprocess.* _posixsubprocess.* pty.* commands.* popen2.* pexpect.* sh.* plumbum.* fabric.*
        paramiko.* asyncio.create_subprocess* asyncio.subprocess* asyncio.base_events.* multiprocessing.util.spawnv_passfds
        webbrowser.* platform.popen platform._syscmd* IPython.get_ipython().system IPython.get_ipython().getoutput IPython.get_ipython().run_*
        IPython.utils.process.* distutils.spawn.* numpy.distutils.exec_command* numpy.distutils.misc_util.exec* pip.main pip._internal.main* pip._internal.cli.main* setuptools.sandbox.* test.support.script_helper.*
        """,
    EVALUATES: """
        builtins.eval builtins.exec builtins.? builtins[] builtins.__dict__[] code.* codeop.* runpy.* timeit.timeit
        timeit.repeat timeit.Timer timeit.main marshal.* _xxsubinterpreters.* pdb.* bdb.* cProfile.* profile.* trace.*
        logging.config.* pandas.eval sympy.sympify sympy.parse_expr sympy.parsing.* numexpr.evaluate
        jinja2.Template jinja2.Environment mako.* IPython.core.* types.FunctionType types.CodeType pydoc.* doctest.* idlelib.* lib2to3.*
        ensurepip.* venv.* zipapp.* cgitb.* asyncore.* numpy.f2py.compile numpy.f2py.run_main numpy.f2py.crackfortran.myeval
        numpy.testing._private.utils.runstring numpy.testing.rundocs torch._dynamo.guards.* torch._inductor.codecache.*
        """,
    CONNECTS: """
        socket.* _socket.* socketserver.* http.client.* http.server.* httplib.* urllib.request.* urllib2.* urllib3.*
        urllib.urlopen urllib.urlretrieve ftplib.* smtplib.* poplib.* imaplib.* nntplib.* telnetlib.* xmlrpc.*
        asyncio.open_connection asyncio.start_server asyncio.open_unix_connection pycurl.* dns.resolver.* dns.query.* gevent.socket.* gevent.subprocess.*
        twisted.internet.* zmq.Context* zmq.asyncio.*
        websocket.* websockets.* boto3.* pyperclip.* pynput.* pyautogui.* mss.*
        """,
    FETCHES: "requests.* httpx.* aiohttp.* wget.* gdown.* torch.hub.download_url_to_file",
    NATIVE: """
        ctypes.CDLL ctypes.PyDLL ctypes.cdll* ctypes.pydll*
        ctypes.pythonapi* ctypes.CFUNCTYPE ctypes.PYFUNCTYPE ctypes.memmove ctypes.memset ctypes.cast ctypes.string_at
        ctypes._* _ctypes.* cffi.* torch.ops.load_library torch.classes.load_library tensorflow.load_op_library
        tensorflow.load_library numpy.ctypeslib.* imp.* _imp.* cppyy.* llvmlite.* pyximport.*
        importlib.machinery.ExtensionFileLoader*
        """,
    WINDOWS: """
        ctypes.WinDLL ctypes.OleDLL ctypes.LibraryLoader ctypes.windll* ctypes.oledll* ctypes.WINFUNCTYPE ctypes.util.*
        """,
    TOUCHES: """
        os.open os.write os.pipe* os.putenv os.link os.symlink os.mkfifo msvcrt.* winreg.OpenKey winreg.OpenKeyEx winreg.CloseKey
        winreg.QueryValue winreg.QueryValueEx winreg.QueryInfoKey winreg.EnumKey winreg.EnumValue winreg.ConnectRegistry
        socket.getdefaulttimeout socket.setdefaulttimeout socket.socket.makefile urllib.request.getproxies urllib.request.proxy_bypass
        http.client.InvalidURL dns.query.have_doh pdb.set_trace marshal.dumps marshal.dump
        paramiko.AutoAddPolicy paramiko.RejectPolicy paramiko.WarningPolicy torch._dynamo.guards.uninteresting_files
        """,
    COMPILES: "torch.utils.cpp_extension.load* numba.cfunc cupy.RawKernel cupy.RawModule",
    UNPICKLES: """
        pickle.load* pickle.Unpickler* pickle._load* _pickle.* cPickle.* dill.* cloudpickle.* shelve.* jsonpickle.*
        torch.package.* yaml.unsafe_load* yaml.full_load* yaml.UnsafeLoader yaml.Loader yaml.FullLoader
        multiprocessing.connection.* multiprocessing.managers.* torch.storage._load_from_bytes joblib.numpy_pickle.*
        _compat_pickle.* pickletools.* srsly.pickle* kombu.* celery.* sqlitedict.* diskcache.* zodbpickle.*
        """,
    UNPICKLES_FILE: "joblib.load pandas.read_pickle pandas.io.pickle.* skops.io.load skops.io.loads",
    LOADS: """
        torch.load torch.serialization.load torch.serialization._load torch.serialization._legacy_load torch.jit.load
        torch.hub.load_state_dict_from_url numpy.load yaml.load yaml.load_all keras.models.load_model tensorflow.keras.models.load_model tensorflow.saved_model.load
        multiprocess.* ruamel.*
        """,
    DELETES: """
        os.remove os.unlink os.rmdir os.removedirs os.chmod os.chown os.truncate os.setuid
        os.setgid os.chroot shutil.rmtree shutil.unpack_archive shutil.chown
        pathlib.Path().unlink pathlib.Path().rmdir pathlib.Path().chmod pathlib.Path().symlink_to crontab.* winreg.*
        _winapi.* win32api.* win32com.*
        """,
    REWIRES: """
        sys.settrace sys.setprofile sys.addaudithook sys._getframe sys.meta_path* sys.path_hooks* sys._current_frames
        sys.excepthook sys.displayhook sys.breakpointhook builtins.__build_class__ builtins.breakpoint importlib.reload
        importlib.util.spec_from_file_location importlib.util.module_from_spec importlib.util.spec_from_loader
        importlib.machinery.SourceFileLoader* importlib._bootstrap* zipimport.* pkgutil.* site.* sitecustomize.* atexit.*
        gc.get_objects gc.get_referrers inspect.currentframe inspect.stack types.ModuleType forge.* bytecode.* antigravity.*
        """,
    REMOTE: "torch.hub.load kernels.* transformers.dynamic_module_utils.* diffusers.utils.dynamic_modules_utils.*",
}  # fmt: skip
SAFE = frozenset(
    """
    socket.gethostname socket.getfqdn socket.timeout socket.error subprocess.PIPE subprocess.DEVNULL subprocess.STDOUT
    socket.has_ipv6 socket.has_dualstack_ipv6 subprocess.CalledProcessError subprocess.TimeoutExpired subprocess.SubprocessError requests.exceptions
    urllib.request.Request urllib.request.url2pathname urllib.request.pathname2url urllib.request.quote urllib.request.unquote
    cloudpickle.dump cloudpickle.dumps cloudpickle.CloudPickler dill.dump dill.dumps dill.Pickler _pickle.dump _pickle.dumps
    _pickle.Pickler cPickle.dump cPickle.dumps jsonpickle.encode cloudpickle.Pickler urllib3.util urllib3.util.retry urllib3.util.url urllib3.exceptions socket._GLOBAL_DEFAULT_TIMEOUT _socket.CAPI http.HTTPStatus ctypes.sizeof
    socket.fromfd socket._fileobject imp.get_suffixes _imp.extension_suffixes requests.utils.default_user_agent requests.utils.default_headers
    sympy.parsing.sympy_parser.null sympy.parsing.latex.lark.transformer.TransformToSymPyExpr
    """.split()
)
"""Names inside the patterns above that do nothing."""
CONSTANTS = late(
    r"(socket|subprocess|http\.client|ssl)\.[A-Z][A-Z0-9_]+\Z|[a-z]\w*(\.\w+)*\.[A-Z]\w*(Error|Exception|Timeout|Warning)\Z"
    r"|(?!ctypes\.|cffi\.)[a-z]\w*(\.\w+)*\.([A-Z][A-Z0-9_]{2,}|__(version|all|name|doc|file)__)\Z"
)
OF_TEXT = late(r"[a-z]\w*(\.[a-z]\w*)*\.__version__\.(split|startswith|partition|rpartition|strip)\Z")
"""Methods of the text that says a module's version."""
CALLED_ONLY = frozenset(
    """
    types.FunctionType types.CodeType types.ModuleType timeit.Timer jinja2.Environment socket.socket socket.SocketType
    multiprocessing.connection.Connection requests.Session requests.Response httpx.Client httpx.AsyncClient aiohttp.ClientSession
    """.split()
)
"""Harmless to mention (`isinstance`), not to call."""
AT_IMPORT: tuple[str, ...] = (
    "sys.path.",
    "sys.path[",
    "sys.modules[",
    "os.chdir",
    "signal.",
    "threading.Thread",
)
"""Beginnings of names that are ordinary inside functions and odd when a module is imported."""
WRITES = late(r"[wax+]")

EXACT: dict[str, str] = {}
PREFIX: dict[str, tuple[tuple[str, str], ...]] = {}
"""First segment → (beginning of a name, what it does)."""
for _what, _names in _DANGERS.items():
    for _name in _names.split():
        if _name.endswith("*"):
            _top = _name[:-1].partition(".")[0]
            PREFIX[_top] = (*PREFIX.get(_top, ()), (_name[:-1], _what))
        else:
            EXACT[_name] = _what

ATTRIBUTES: dict[str, str] = {
    "system": RUNS,
    "popen": RUNS,
    "Popen": RUNS,
    "check_output": RUNS,
    "check_call": RUNS,
    "getoutput": RUNS,
    "getstatusoutput": RUNS,
    "execv": RUNS,
    "execve": RUNS,
    "spawnl": RUNS,
    "urlopen": CONNECTS,
    "urlretrieve": CONNECTS,
    "create_connection": CONNECTS,
    "exec_module": EVALUATES,
    "load_module": EVALUATES,
    "LoadLibrary": NATIVE,
    "CDLL": NATIVE,
    "__subclasses__": REWIRES,
    "__globals__": REWIRES,
    "__builtins__": REWIRES,
    "f_globals": REWIRES,
    "f_builtins": REWIRES,
    "f_back": REWIRES,
    "gi_frame": REWIRES,
    "tb_frame": REWIRES,
    "rmtree": DELETES,
    "run_line_magic": RUNS,
    "run_cell_magic": RUNS,
    "create_subprocess_shell": RUNS,
    "create_subprocess_exec": RUNS,
    "dlopen": NATIVE,
    "load_library": NATIVE,
    "cdll": NATIVE,
}
"""Attributes of an object that could not be followed, telling enough by their name alone."""

SHELLCODE = frozenset(
    """
    VirtualAlloc VirtualAllocEx VirtualProtect CreateThread CreateRemoteThread RtlMoveMemory WinExec ShellExecuteA ShellExecuteW
    ShellExecuteExW CreateProcessA CreateProcessW WriteProcessMemory NtAllocateVirtualMemory mprotect
    """.split()
)
"""Functions of Windows and libc by which code in memory is run, or programs are started."""

FRAMES = frozenset(
    ("__globals__", "__builtins__", "f_globals", "f_builtins", "gi_frame", "cr_frame", "tb_frame")
)
"""Attributes through which code gets at functions that it does not name."""
EVALUATING_MODULES = frozenset(("antigravity", "this", "idlelib", "test", "lib2to3"))

MODULES_NOT_TO_PASS_ON = frozenset(
    """
    os sys subprocess builtins importlib ctypes _ctypes socket shutil posix nt pty runpy marshal pickle _pickle dill
    cloudpickle
    """.split()
)
"""Handed on as a value, one of these can be taken apart elsewhere; as `logging.os`, it is still `os`."""

DECODERS = late(
    r"(base64\.\w*decode\w*|binascii\.(unhexlify|a2b_\w+)|zlib\.decompress|gzip\.decompress|bz2\.decompress|lzma\.decompress"
    r"|marshal\.loads|codecs\.decode|builtins\.bytes\.fromhex|builtins\.bytearray\.fromhex|urllib\.request\.urlopen"
    r"|requests\.(get|post)|(\w|\.|\(\))*\.(b64decode|decompress|fromhex))(\(\).*)?\Z"
)
"""Calls whose value, when run at once, is code that nobody was to see."""

SHELLS = late(
    r"(?i)(curl|wget|fetch|iwr|invoke-webrequest)\b[^|;&\n]{0,300}\|\s*(sudo\s+)?(\S*/)?(ba|z|da|k)?sh\b|/dev/(tcp|udp)/|\bbash\s+-i\b"
    r"|\bn(c|cat|etcat)\b[^\n]{0,100}\s-\w*[ec]\b|base64\s+(-d|--decode)[^\n]{0,100}\|\s*\S*sh\b|powershell[^\n]{0,60}-e(nc|ncodedcommand)?\s"
    r"|\brm\s+-\w*r\w*f?\w*\s+(/|~)|mkfifo\s+\S+|chmod\s+\S*\+?[xs7]\S*\s+/tmp/|>\s*(/etc/|~/\.ssh/|~/\.bashrc)|crontab\s+-"
)
"""Commands as payloads have them: fetch and run, connect a shell, wipe, stay."""
