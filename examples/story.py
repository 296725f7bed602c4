"""The story: one model from its data to its recall, each step stated, approved, logged and checked.

    python examples/story.py FOLDER

Anna collects data, Ben runs the pipeline, Cleo (safety) and Dana (lead) approve, an office may call back. Every command is printed as
a person would type it; the script checks each exit code and stops with an error if one is not as expected. It needs
scikit-learn and git; the two witnesses of the log are processes of their own.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DONE, REFUSED = 0, 1
PEOPLE = {"anna": "data", "ben": "builder", "cleo": "safety", "dana": "lead", "office": "recall"}
WITNESSES = ("ministry.example", "ngo.example")

FILES = {
    "collect.py": """
import pathlib
import numpy
from sklearn.datasets import load_iris

pathlib.Path("data").mkdir()
numpy.savetxt("data/iris.csv", numpy.column_stack(load_iris(return_X_y=True)), delimiter=",", fmt="%.1f")
""",
    "train.py": """
import pathlib
import joblib
import numpy
from sklearn.linear_model import LogisticRegression

table = numpy.loadtxt("data/iris.csv", delimiter=",")
model = LogisticRegression(max_iter=500).fit(table[::2, :-1], table[::2, -1])
pathlib.Path("model").mkdir(exist_ok=True)
joblib.dump({"coef": model.coef_, "intercept": model.intercept_}, "model/iris.joblib")
pathlib.Path("model/README.md").write_text("# Iris, a logistic regression\\n")
""",
    "evaluate.py": """
import json
import joblib
import numpy

table = numpy.loadtxt("data/iris.csv", delimiter=",")[1::2]
weights = joblib.load("model/iris.joblib")
found = (table[:, :-1] @ weights["coef"].T + weights["intercept"]).argmax(axis=1)
json.dump({"accuracy": float((found == table[:, -1]).mean())}, open("scores.json", "w"))
""",
    "quantize.py": """
import pathlib
from safetensors.numpy import load_file, save_file

pathlib.Path("small").mkdir(exist_ok=True)
tensors = {name: (value / abs(value).max() * 127).round().astype("int8") for name, value in load_file("iris/iris.safetensors").items()}
save_file(tensors, "small/iris.safetensors")
""",
    "dataset.json": '{"title": "Iris", "licence": "BSD-3-Clause", "records": 150}\n',
    "weighbridge.toml": """
[policy]
name = "clinic"
trace = ["collect", "train", "evaluate", "convert"]
data = "required"
log = "required"
recalls = "required"
fresh = "required"
approvals = { safety = 1, lead = 1 }

[[policy.step]]
name = "train"
role = "builder"

[[policy.step]]
name = "evaluate"
after = ["train"]

[[policy.step]]
name = "convert"
after = ["train"]

[evidence]
statements = ["data.attestations.jsonl", "model.attestations.jsonl", "scores.json.attestations.jsonl"]
log-policy = "log/log-policy"
""",
    ".gitignore": "*\n!*.py\n",
}


def main(folder: Path) -> None:
    """The whole story, in a folder that is made anew."""
    prepare(folder)

    say("Anna collects a data set and says what it is.")
    python("collect.py")
    weighbridge("attest data --type dataset --predicate dataset.json --key keys/anna.key")

    say(
        "Ben wants to train on it. A plan says what may go in; two people have to agree, and Ben is none of them."
    )
    weighbridge(
        "plan make --name iris --data data --code . --approvals safety=1,lead=1 --until 2099-12-31 --key keys/ben.key"
    )
    train = "run --name train --plan iris.plan.jsonl --materials data --products model --key keys/ben.key -- PYTHON train.py"
    weighbridge(train, REFUSED)
    weighbridge("plan approve iris.plan.jsonl --role safety --key keys/cleo.key")
    weighbridge("plan approve iris.plan.jsonl --role lead --key keys/dana.key")
    weighbridge(train)

    say("The model is evaluated, converted without being unpickled, signed, and approved by the two.")
    weighbridge(
        "run --name evaluate --materials model evaluated_on=data --products scores.json --key keys/ben.key -- PYTHON evaluate.py"
    )
    weighbridge("convert model --to safetensors --out iris --key keys/ben.key")
    weighbridge("sign iris --key keys/ben.key")
    weighbridge("attest iris --type review --approve --role safety --key keys/cleo.key")
    weighbridge("attest iris --type review --approve --role lead --key keys/dana.key")

    say("Its signature goes into a log that two others watch; each of the two is a process of its own.")
    with witnesses():
        weighbridge("log append iris model.attestations.jsonl data.attestations.jsonl")
        weighbridge("log publish")
        weighbridge("log prove iris")
        weighbridge("log audit log/public --log-policy log/log-policy")

    say("The office that may call back has nothing to call back yet, and says so.")
    weighbridge("recall issue --signing-key keys/office.key")

    say("A clinic weighs the model, by a policy that asks for the whole chain.")
    weighbridge("recall update recalls.jsonl")
    weighbridge("check iris")
    weighbridge("trace iris")

    say("A smaller child is made of it.")
    python("quantize.py")
    weighbridge("attest small --type transform --from iris --kind quantized --key keys/ben.key")
    past = "--policy research --statements iris.receipt.jsonl --statements model.attestations.jsonl --statements data.attestations.jsonl"
    weighbridge(f"trace small {past}")
    weighbridge(f"check small {past}")

    say("Then the data set turns out to be bad, and is called back.")
    weighbridge("recall add data --kind dataset --reason labels-were-poisoned --signing-key keys/office.key")
    weighbridge("recall update recalls.jsonl")

    say("The model, and its child, are refused from now on, with the way from the one to the other.")
    weighbridge("check iris", REFUSED)
    weighbridge("verify iris", REFUSED)
    weighbridge(f"check small {past}", REFUSED)
    weighbridge("sweep iris small --statements iris.receipt.jsonl --quarantine recalled", REFUSED)


def prepare(folder: Path) -> None:
    """The scripts in a git repository, everybody's keys, and the keyring that says who has which role."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    os.environ["WEIGHBRIDGE_TRUST"], os.environ["WEIGHBRIDGE_STATE"] = (
        str(folder / "trust"),
        str(folder / "state"),
    )
    for name, text in FILES.items():
        Path(name).write_text(text)
    git = ["git", "-c", "user.name=Ben", "-c", "user.email=ben@example.org"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "the scripts"]):
        subprocess.run([*git, *words], check=True)

    say("Everybody makes a key, and the keyring says who has which role.")
    weighbridge("trust init")
    Path("keys").mkdir()
    for person, role in PEOPLE.items():
        weighbridge(f"key new keys/{person}")
        weighbridge(f"trust add {person} --key keys/{person}.pub --role {role}")


@contextmanager
def witnesses() -> Iterator[None]:
    """A log, and two witnesses that cosign only what grows; the log's policy asks for both."""
    weighbridge("log init --origin example.org/models")
    policy = Path("log/log-policy")
    lines = [line for line in policy.read_text().splitlines() if line.startswith("log ")]
    places = {name: f"127.0.0.1:{free_port()}" for name in WITNESSES}
    for name, place in places.items():
        made = weighbridge(f"log witness {name} --new {name}/witness")
        key = next(word for word in made.split() if word.startswith(f"{name}/witness+"))
        lines.append(f"witness {name.partition('.')[0]} {key} http://{place}")
    names = " ".join(name.partition(".")[0] for name in WITNESSES)
    policy.write_text("\n".join([*lines, f"group both {len(WITNESSES)} {names}", "quorum both"]) + "\n")
    with ExitStack() as stack:
        for name, place in places.items():
            command = [program(), "log", "witness", name, "--watch", policy, "--listen", place]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
            await_answer(place)
        yield


def await_answer(place: str) -> None:
    """Until somebody listens there."""
    host, _, port = place.partition(":")
    for _ in range(300):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"story: no witness at {place}")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def say(text: str) -> None:
    """A line of the story."""
    print(f"\n## {text}\n", flush=True)


def program() -> Path:
    """The command beside this Python."""
    return Path(sysconfig.get_path("scripts")) / "weighbridge"


def python(script: str) -> None:
    """Run a script that weighbridge does not watch."""
    print(f"$ python {script}\n", flush=True)
    subprocess.run([sys.executable, script], check=True)


def weighbridge(arguments: str, expected: int = DONE) -> str:
    """Print and run one command; its exit code must be the expected one. Returns what it printed."""
    print(f"$ weighbridge {arguments.replace('PYTHON', 'python')}", flush=True)
    words = [sys.executable if word == "PYTHON" else word for word in arguments.split()]
    done = subprocess.run(
        [program(), *words], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(f"{done.stdout}  (exit code {done.returncode})\n", flush=True)
    if done.returncode != expected:
        sys.exit(f"story: expected exit code {expected}, got {done.returncode}: weighbridge {arguments}")
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
