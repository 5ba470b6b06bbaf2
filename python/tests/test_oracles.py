"""Every reference vector of the oracle folder, in float64 and float32.

The folder is ORGANINCREMENT_ORACLES, or `shared/oracles` beside the project.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from oracle_decoders import check_cs_merge, check_cs_misc, check_cs_prune  # noqa: F401

from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import MultiHead, OrganHead
from organincrement.contract.organs import organ_from_name
from organincrement.evaluation import forgetting, metrics
from organincrement.imaging import perturbation
from organincrement.inference.readout import Readout
from organincrement.losses import alignment, bla_uag, dodnet, guidance, heads, mib, mskd, smoothing
from organincrement.networks import dodnet as dodnet_network
from organincrement.networks.head import grown_rows
from organincrement.replay.certainty import foreground_variance, surest_slices
from organincrement.replay.facility_location import Choice, choose_facilities
from organincrement.replay.similarity import CosineSimilarity, DistanceSimilarity, content_features

FOLDER = Path(
    os.environ.get("ORGANINCREMENT_ORACLES", Path(__file__).resolve().parents[2].parent / "shared" / "oracles")
)
TOLERANCE = {torch.float64: {"rtol": 1e-9, "atol": 1e-12}, torch.float32: {"rtol": 1e-4, "atol": 1e-5}}

Case = dict[str, np.ndarray]
Check = Callable[[Case, torch.dtype], None]

needs_oracles = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no oracle folder at {FOLDER}: set ORGANINCREMENT_ORACLES"
)


def cases_of(name: str) -> dict[str, Case]:
    stored, cases = np.load(FOLDER / f"{name}.npz"), {}
    for key in stored.files:
        case, array = key.split(".", 1)
        cases.setdefault(case, {})[array] = stored[key]
    return cases


def tensor(array: np.ndarray, dtype: torch.dtype, grad: bool = False) -> torch.Tensor:
    made = torch.as_tensor(array)
    return (made.to(dtype) if made.is_floating_point() else made).requires_grad_(grad)


def close(actual: torch.Tensor, expected: np.ndarray, dtype: torch.dtype) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, **TOLERANCE[dtype])


def gradient(loss: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)[0]


def check_bla_align(case: Case, dtype: torch.dtype) -> None:
    log_p, old_count = tensor(case["zs"], dtype).log_softmax(1), int(case["K"])
    old, new = (
        alignment.fold_new_into_background(log_p, old_count),
        alignment.fold_old_into_background(log_p, old_count),
    )
    for actual, name in ((old, "log_p_old"), (old.exp(), "p_old"), (new, "log_p_new"), (new.exp(), "p_new")):
        if name in case:
            close(actual, case[name], dtype)


def check_bla_smooth(case: Case, dtype: torch.dtype) -> None:
    smoothed = smoothing.smooth_labels(tensor(case["g"], dtype), int(case["N"]), float(case["eps"]), dtype)
    close(smoothed, case["g_s"], dtype)


def check_uag_uncertainty(case: Case, dtype: torch.dtype) -> None:
    u, classes = guidance.entropy_of_mean(tensor(case["probs"], dtype)), 1 + int(case["K"])
    close(u, case["u"], dtype)
    for mode in ("paper", "inverse", "exp", "none"):
        close(guidance.guidance_weight(u, classes, mode), case[f"weight_{mode}"], dtype)


def check_uag_perturb(case: Case, dtype: torch.dtype) -> None:
    x = tensor(case["x"], dtype)
    close(perturbation.stretch_contrast(x, float(case["contrast"])), case["out_contrast"], dtype)
    close(perturbation.brighten(x, float(case["brightness"])), case["out_brightness"], dtype)
    close(perturbation.blur(x, float(case["sigma"])), case["out_blur"], dtype)
    close(perturbation.add_noise(x, tensor(case["noise"], dtype)), case["out_noise"], dtype)


def check_bla_uag_loss(case: Case, dtype: torch.dtype) -> None:
    zs = tensor(case["zs"], dtype, grad=True)
    u = guidance.entropy_of_mean(tensor(case["probs"], dtype))
    weight = guidance.guidance_weight(u, 1 + int(case["K"]), str(case["mode"]))
    terms = bla_uag.bla_uag_terms(
        zs.log_softmax(1), tensor(case["zt"], dtype).log_softmax(1), weight, tensor(case["g"], dtype),
        smoothing=float(case["eps"]), direction=str(case["direction"]),
    )  # fmt: skip
    total = sum(weight * term for weight, term in zip(case["lam"].tolist(), terms, strict=True))
    for actual, name in zip((*terms, total), ("ce", "kl_old", "kl_new", "total"), strict=True):
        close(actual, case[name], dtype)
    close(gradient(total, zs), case["grad_zs"], dtype)


def check_mib(case: Case, dtype: torch.dtype) -> None:
    zs, old_count = tensor(case["zs"], dtype, grad=True), int(case["K"])
    unce = mib.unbiased_cross_entropy(tensor(case["g"], dtype), zs.log_softmax(1), old_count)
    unkd = mib.unbiased_distillation(tensor(case["zt"], dtype).softmax(1), zs.log_softmax(1))
    for actual, name in ((unce, "unce"), (unkd, "unkd"), (unkd / (1 + old_count), "unkd_code")):
        close(actual, case[name], dtype)
    close(gradient(unce, zs), case["grad_unce_zs"], dtype)
    close(gradient(unkd, zs), case["grad_unkd_zs"], dtype)
    weight, bias = grown_rows(tensor(case["w_old"], dtype), tensor(case["b_old"], dtype), int(case["N"]))
    close(weight, case["w_init"], dtype)
    close(bias, case["b_init"], dtype)


def check_mskd(case: Case, dtype: torch.dtype) -> None:
    zs, student = (tensor(case[name], dtype, grad=True) for name in ("zs", "Fs"))
    log_p, count = zs.log_softmax(1), zs.shape[1]
    log_q = [
        alignment.group_channels(zt.log_softmax(1), (0, k), count)
        for k, zt in enumerate(tensor(case["zt"], dtype), start=1)
    ]
    regions = [mskd.organ_region(one) for one in log_q]
    rest, mean = mskd.background_region(regions), mskd.mean_teacher(log_q)
    for actual, name in ((regions, "mask"), ([one.exp() for one in log_q], "q_hat")):
        close(torch.stack(actual), case[name], dtype)
    close(rest, case["mask_bg"], dtype)
    close(mean.exp(), case["q_hat_bg"], dtype)
    organ = torch.stack([mskd.logit_term(q, log_p, m) for q, m in zip(log_q, regions, strict=True)])
    background = mskd.logit_term(mean, log_p, rest)
    teachers = tensor(case["Ft"], dtype)
    feature = torch.stack([mskd.feature_term(f, student, m) for f, m in zip(teachers, regions, strict=True)])
    total = organ.sum() + float(case["lam1"]) * background + float(case["lam2"]) * feature.sum()
    found = {"loss_organ": organ, "loss_bg": background, "loss_feat": feature, "total": total}
    found |= {"grad_organ_zs": gradient(organ.sum(), zs), "grad_bg_zs": gradient(background, zs)}
    found |= {"grad_Fs": gradient(feature.sum(), student)}
    found |= {"grad_total_zs": gradient(total, zs), "grad_total_Fs": gradient(total, student)}
    for name, actual in found.items():
        close(actual, case[name], dtype)


def check_dod_head(case: Case, dtype: torch.dtype) -> None:
    gap, task, weight, bias = (tensor(case[name], dtype) for name in ("gap", "task", "Wc", "bc"))
    params = dodnet_network.controlled(gap, task, weight, bias).requires_grad_()
    features = tensor(case["feat"], dtype, grad=True)
    logits = dodnet_network.dynamic_head(params, features)
    asked = (logits * tensor(case["cot"], dtype)).sum()
    for actual, name in ((params, "params"), (logits, "logits")):
        close(actual, case[name], dtype)
    close(gradient(asked, params), case["grad_params"], dtype)
    close(gradient(asked, features), case["grad_feat"], dtype)


def check_dod_loss(case: Case, dtype: torch.dtype) -> None:
    z = tensor(case["z"], dtype, grad=True)
    dice, entropy, labelled = dodnet.partial_dice_and_cross_entropy(z, tensor(case["y"], dtype), float(case["eps"]))
    total = dodnet.mean_over_labelled(dice, labelled) + dodnet.mean_over_labelled(entropy, labelled)
    assert labelled.tolist() == (~np.isnan(case["dice"])).tolist()
    for actual, name in ((dice, "dice"), (entropy, "bce")):
        close(actual[labelled], case[name][labelled.numpy()], dtype)
    close(total, case["total"], dtype)
    close(gradient(total, z), case["grad_z"], dtype)


def check_metrics(case: Case, dtype: torch.dtype) -> None:
    measured = metrics.measure(case["a"], case["b"], case["spacing"].tolist())
    values = (measured.dice, measured.hausdorff_mm, measured.hd95_mm, measured.assd_mm)
    for actual, name in zip(values, ("dice", "hd", "hd95", "assd"), strict=True):
        np.testing.assert_allclose(actual, case[name], **TOLERANCE[torch.float64])


def check_forgetting(case: Case, dtype: torch.dtype) -> None:
    found = forgetting.forgetting(case["R"], case["learned"])
    for name in ("forgetting", "backward", "average_forgetting", "backward_transfer", "final_mean"):
        np.testing.assert_allclose(getattr(found, name), case[name], **TOLERANCE[torch.float64])


def check_aei(case: Case, dtype: torch.dtype) -> None:
    if "mc" in case:
        uncertainty = foreground_variance(case["mc"])
        np.testing.assert_allclose(uncertainty, case["uncertainty"], **TOLERANCE[torch.float64])
        assert surest_slices(uncertainty, case["present"], int(case["k_c"])).tolist() == case["chosen"].tolist()
        return
    similarity = CosineSimilarity(case["features"])
    chosen = choose_facilities(similarity, int(case["k_r"]), case["candidates"])
    np.testing.assert_allclose(all_rows(similarity), case["similarity"], **TOLERANCE[torch.float64])
    same_choice(chosen, case["order"], case["coverage"])


def check_cori(case: Case, dtype: torch.dtype) -> None:
    layers = [case[name] for name in sorted(case) if name.startswith("act_")]
    flat = np.concatenate([layer.reshape(len(layer), -1) for layer in layers], axis=1)
    for features, distance, suffix in ((content_features(layers), "dist_mean", ""), (flat, "dist_sum", "_sum")):
        similarity = DistanceSimilarity(features)
        np.testing.assert_allclose(all_rows(similarity), -case[distance], rtol=1e-9, atol=1e-12 * case[distance].max())
        chosen = choose_facilities(similarity, 6)
        same_choice(chosen, case["order" + suffix], case["coverage" + suffix])


def check_lwf(case: Case, dtype: torch.dtype) -> None:
    if "label" in case:
        same_merge(tensor(case["z"], dtype), case["label"])
        return
    z_old, z_new = tensor(case["z_old"], dtype, grad=True), tensor(case["z_new"], dtype, grad=True)
    p, log_y = torch.as_tensor(case["zt_old"]).to(dtype).softmax(2), z_old.log_softmax(2)
    labels, exemplar = tensor(case["g"], dtype), not case["is_new"]
    close(heads.distillation(p.unbind(), log_y.unbind()), case["distill"], dtype)
    close(heads.classification(labels, z_new.log_softmax(1)), case["classify"], dtype)
    total = heads.head_terms(
        p.unbind(), log_y.unbind(), z_new.log_softmax(1), labels, alpha=float(case["alpha"]), exemplar=exemplar
    ).total
    close(total, case["total"], dtype)
    close(gradient(total, z_old), case["grad_z_old"], dtype)
    new = gradient(total, z_new)
    close(torch.zeros_like(z_new) if new is None else new, case["grad_z_new"], dtype)


def same_merge(z_HBCHW: torch.Tensor, labels_BHW: np.ndarray) -> None:
    space = LabelSpace(tuple(organ_from_name(f"part {number}") for number in range(len(z_HBCHW))))
    head = MultiHead(heads=tuple(OrganHead(organs=(organ_id,), prefix="out") for organ_id in space.ids))
    readout = Readout.of(head, space)
    for z_CHW, labels_HW in zip(z_HBCHW.transpose(0, 1).flatten(1, 2), labels_BHW, strict=True):
        assert readout.labels(z_CHW.unsqueeze(1))[0].tolist() == labels_HW.tolist()


def all_rows(similarity: CosineSimilarity | DistanceSimilarity) -> np.ndarray:
    return similarity.rows(np.arange(similarity.shape[0]))


def same_choice(chosen: Choice, order: np.ndarray, coverage: np.ndarray) -> None:
    assert chosen.order.tolist() == order.tolist()
    np.testing.assert_allclose(chosen.coverage, coverage, **TOLERANCE[torch.float64])


CHECKS: dict[str, Check] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}


def all_vectors() -> list[object]:
    if not FOLDER.is_dir():
        return []
    return [
        pytest.param(name, case, dtype, id=f"{name}-{case}-{str(dtype).removeprefix('torch.')}")
        for name in sorted(CHECKS)
        for case in cases_of(name)
        for dtype in (torch.float64, torch.float32)
    ]


@needs_oracles
@pytest.mark.parametrize(("name", "case", "dtype"), all_vectors())
def test_code_meets_the_reference_vector(name: str, case: str, dtype: torch.dtype) -> None:
    CHECKS[name](cases_of(name)[case], dtype)


@needs_oracles
def test_every_file_of_vectors_is_checked() -> None:
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(CHECKS)
