"""transformers and its neighbours: configurations that fetch code, and files that are unpickled by the way."""

import json

from tests.scan.published.row import BAD, Bypass, Cases, config, files, torch_legacy, torch_zip

CALL, REMOTE = "pickle-unsafe-call", "config-remote-code"


def row(
    id_: str,
    also: str,
    affected: str,
    what: str,
    rule: str,
    cases: Cases,
    product: str = "transformers",
    **more: object,
) -> Bypass:
    return Bypass(
        id=id_,
        also=(also,) if also else (),
        product=product,
        affected=affected,
        what=what,
        rule=rule,
        cases=cases,
        **more,  # type: ignore[arg-type]
    )


def unpickled(*paths: str) -> Cases:
    return lambda: [{path: data} for path in paths for data in (BAD, torch_zip(BAD), torch_legacy(value=BAD))]


PIPELINE = b"import os\nos.system('echo weighbridge-sample')\nclass Sample: pass\n"


def pipelines() -> list[dict[str, bytes]]:
    """A pipeline of diffusers with code of its own, as the folder names it in three places."""
    return [
        {"model_index.json": json.dumps(index).encode(), name: PIPELINE}
        for index, name in (
            ({"_class_name": ["pipeline", "Sample"], "_diffusers_version": "0.37.0"}, "pipeline.py"),
            ({"_class_name": "Sample", "unet": ["unet_sample", "Sample"]}, "unet/unet_sample.py"),
        )
    ]


ROWS = (
    row(
        "CVE-2023-6730",
        "",
        "<4.36",
        "`RagRetriever` unpickles its index",
        CALL,
        unpickled("hf_bert_base.hnswSQ8_correct_phi_128.c_index.index_meta.dpr", "psgs_w100.tsv.pkl"),
    ),
    row(
        "CVE-2023-7018",
        "",
        "<4.36",
        "tokenizers unpickle their vocabulary",
        CALL,
        unpickled("vocab.pkl", "vocab.bin"),
    ),
    row(
        "CVE-2024-3568",
        "",
        "<4.38",
        "a checkpoint of TensorFlow's classes unpickles `extra_data.pickle`",
        CALL,
        unpickled("extra_data.pickle"),
    ),
    row(
        "CVE-2024-11392",
        "",
        "<4.48",
        "the configuration of MobileViTV2 is read as YAML with objects of Python",
        "config-yaml-tag",
        files("config.yaml", b"model: !!python/object/apply:os.system [echo weighbridge-sample]\n"),
    ),
    row(
        "CVE-2024-11393",
        "GHSA-wrfc-pvp9-mr9g",
        "<4.48",
        "checkpoints of MaskFormer are unpickled",
        CALL,
        unpickled("model.pkl", "pytorch_model.bin"),
    ),
    row(
        "CVE-2024-11394",
        "",
        "<4.48",
        "checkpoints of Trax are unpickled",
        CALL,
        unpickled("model.pkl", "model.pkl.gz"),
    ),
    row(
        "CVE-2026-1839",
        "GHSA-69w3-r845-3855",
        "<5.0.0rc3",
        "the Trainer unpickles the state of a random generator",
        CALL,
        unpickled("rng_state.pth", "rng_state_0.pth", "training_args.bin", "optimizer.pt"),
    ),
    row(
        "CVE-2026-4372",
        "GHSA-29pf-2h5f-8g72",
        ">=4.56,<5.3",
        "a configuration names the repository of an attention kernel, whose code is run",
        "remote-code-elsewhere",
        config(
            "config.json",
            {"_attn_implementation_internal": "owner/kernel"},
            {"text_config": {"_attn_implementation_internal": {"vision": "owner/kernel:f"}}},
        ),
    ),
    row(
        "CVE-2026-5241",
        "GHSA-fgcw-684q-jj6r",
        "<5.5",
        "the configuration of a part turns `trust_remote_code` on",
        REMOTE,
        config(
            "config.json",
            {
                "model_type": "lightglue",
                "trust_remote_code": True,
                "keypoint_detector_config": {
                    "_name_or_path": "owner/model",
                    "trust_remote_code": True,
                    "auto_map": {"AutoModel": "owner/model--modeling_x.X"},
                },
            },
        ),
    ),
    row(
        "CVE-2026-9856",
        "GHSA-xrqw-3rrv-vx5w",
        "<5.10",
        "the names of chat templates become names of files where the tokenizer is saved again",
        "config-system-file",
        config(
            "tokenizer_config.json",
            {"chat_template": {"../../weighbridge-sample": "{{ messages }}"}},
            {"chat_template": [{"name": "/tmp/weighbridge-sample", "template": "{{ messages }}"}]},
        ),
    ),
    row(
        "CVE-2026-44513",
        "GHSA-98h9-4798-4q5v",
        "<0.38",
        "code of a pipeline and of its parts is run without being asked for",
        "python-import-time-danger",
        pipelines,
        "diffusers",
    ),
    row(
        "CVE-2026-45804",
        "GHSA-7wx4-6vff-v64p",
        "<0.38",
        "the folder that was looked at is another one when it is loaded",
        "python-import-time-danger",
        pipelines,
        "diffusers",
    ),
)
