"""The files of the contract as its text shows them, for the tests of this folder."""

import json
from typing import Any

from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.contract.plan import Plan

SHA = "a" * 64

ORGAN = """
{"id": "parotid_right", "name": "Right parotid gland", "kind": "organ", "host": null, "color": [144, 238, 144],
 "category": {"scheme": "SCT", "value": "123037004", "meaning": "Anatomical structure"},
 "type": {"scheme": "SCT", "value": "45289007", "meaning": "Parotid gland"},
 "modifier": {"scheme": "SCT", "value": "24028007", "meaning": "Right"}}
"""

DATASET = f"""
{{"schema": "organincrement/dataset/1", "name": "site-b", "modality": "CT", "organs": [{ORGAN}], "ignore_value": 255}}
"""

CASE = f"""
{{"schema": "organincrement/case/1", "id": "pt_12", "group": "pt_12", "image": "images/pt_12.nii.gz",
  "image_source": "copy", "label": "labels/pt_12.nii.gz", "annotated": ["parotid_right"], "status": "approved",
  "image_sha256": "{SHA}", "label_sha256": "{SHA}", "flags": []}}
"""

MODEL = f"""
{{"schema": "organincrement/model/1", "name": "head-neck-5", "organs": [{ORGAN}],
  "network": {{"kind": "PlainConvUNet", "args": {{"stages": [16, 32], "bias": true, "norm": "instance", "drop": null}},
              "parameters": 912345}},
  "head": {{"kind": "softmax"}},
  "preprocessing": {{"orientation": "LPS", "spacing_mm": [2.5, 3.9, 3.9], "axis_order": [0, 1, 2], "channels": ["CT"],
    "order": "normalise-then-resample",
    "normalisation": {{"kind": "ct", "clip_hu": [-200, 300], "mean": 20, "std": 120}},
    "image_resampling": "cubic", "output_resampling": "linear"}},
  "inference": {{"patch": [64, 64, 64], "step": 0.5, "window": "gaussian", "mirror_axes": [], "average": "logits",
                "temperature": 1.0}},
  "uncertainty": {{"kind": "perturbation", "perturbations": 6}},
  "trained_on": {{"modality": "CT", "cases": 44,
    "spacing_mm": {{"min": [2, 3, 3], "median": [2.5, 3.9, 3.9], "max": [3, 4, 4]}},
    "intensity_percentiles": {{"0.5": -190, "50": 31, "99.5": 280}}}},
  "lineage": [{{"name": "head-neck-4", "sha256": "{SHA}", "method": "supervised", "dataset_sha256": "{SHA}",
               "made": "2026-11-21"}}],
  "metrics": {{"validation": [{{"organ": "parotid_right", "n": 4, "dice": 0.81, "hd95_mm": 5.5, "assd_mm": 1.25,
                              "ci95": [0.78, 0.84]}}],
              "agreement_with_teacher": [], "recommended": true}},
  "licence": "CC BY 4.0", "citation": "",
  "weights": [{{"file": "weights.safetensors", "sha256": "{SHA}", "bytes": 3}}]}}
"""

PLAN = f"""
{{"schema": "organincrement/plan/1", "method": "bla-uag", "preset": "practical",
  "inputs": [{{"role": "teacher", "path": "../head-neck-4.oimodel", "sha256": "{SHA}"}},
             {{"role": "dataset", "path": "../mandible-site-b", "sha256": "{SHA}"}}],
  "merges": {{"liver_tumour": "liver"}}, "include": ["approved"],
  "settings": {{"perturbations": 6, "uncertainty": "paper", "nested": {{"weights": [1.0, 20.0]}}, "off": null}},
  "training": {{"steps": 3000, "batch": 2, "patch": [64, 64, 64], "accumulation": 1, "precision": "auto",
               "optimizer": {{"kind": "adam", "lr": 3e-5}}, "schedule": {{"kind": "poly", "power": 0.9}},
               "ema": null, "workers": 1}},
  "validation": {{"cases": ["pt_31", "pt_40"], "every_steps": 250, "recommended_above": 0.9}},
  "seed": 0, "device": "auto",
  "estimate": {{"seconds": 11400, "gpu_bytes": 7600000000, "ram_bytes": 3100000000, "disk_bytes": null,
               "measured_on": "cuda: NVIDIA RTX A4000"}}}}
"""


def model_json() -> dict[str, Any]:
    """A fresh copy of model.json, to be changed by a test."""
    data: dict[str, Any] = json.loads(MODEL)
    return data


def model() -> ModelManifest:
    """The sample model."""
    return codec.from_json(ModelManifest, model_json(), where="model.json")


def plan() -> Plan:
    """The sample plan."""
    return codec.from_json(Plan, json.loads(PLAN), where="plan.json")


def plan_bytes() -> bytes:
    """The sample plan as the bytes of its file."""
    return PLAN.encode()


def started(**changes: Any) -> dict[str, Any]:
    """The fields of a `started` event."""
    return {
        "pid": 1,
        "host": "desk",
        "device": "cpu",
        "precision": "float32",
        "batch": 2,
        "versions": {"torch": "2.5"},
        "total_steps": 100,
        "phases": ["train"],
        "resumed_from": None,
    } | changes


def step(number: int) -> dict[str, Any]:
    """The fields of a `step` event."""
    return {
        "phase": "train",
        "step": number,
        "epoch": 0.5,
        "losses": {"distillation": 0.25},
        "total": 0.25,
        "lr": 3e-5,
        "seconds_per_step": 0.5,
        "eta_s": 0.5 * (100 - number),
        "data_wait": 0.0,
        "ram_bytes": 10**9,
        "gpu_bytes": None,
    }
