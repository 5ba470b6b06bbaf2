"""Perturbed copies of a patch: they follow from the generator, always change something, and never its shape."""

import pytest
import torch

from organincrement.imaging.perturbation import PerturbationRanges, blur, perturb, stretch_contrast

IMAGE = torch.randn(3, 1, 9, 10, 11, generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_gives_the_same_copy_and_another_gives_another():
    before = IMAGE.clone()
    first, again, other = (perturb(IMAGE, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(IMAGE, before), "the image itself was changed"


def test_what_happens_elsewhere_does_not_change_the_draws():
    torch.manual_seed(0)
    first = perturb(IMAGE, generator())
    torch.manual_seed(1)
    assert torch.equal(perturb(IMAGE, generator()), first)


def test_no_copy_is_ever_the_image_itself_even_where_transforms_are_rare():
    rare = PerturbationRanges(probability=0.1)
    drawn = generator()
    for _ in range(50):
        copy = perturb(IMAGE, drawn, rare)
        assert copy.shape == IMAGE.shape and torch.isfinite(copy).all()
        assert (copy - IMAGE).abs().amax(dim=(1, 2, 3, 4)).min() > 0


def test_the_samples_of_a_batch_are_perturbed_each_in_its_own_way():
    same = IMAGE[:1].expand(3, -1, -1, -1, -1)
    copies = perturb(same, generator())
    assert len({float(copy.std()) for copy in copies}) == 3


def test_a_batch_is_perturbed_as_its_samples_one_after_the_other():
    drawn = generator()
    one_by_one = torch.cat([perturb(sample, drawn) for sample in IMAGE.split(1)])
    assert torch.equal(perturb(IMAGE, generator()), one_by_one)


def test_copies_stay_near_enough_to_show_the_same_anatomy():
    organ = torch.zeros(1, 1, 16, 16, 16)
    organ[..., 4:12, 4:12, 4:12] = 2.0
    drawn = generator()
    for _ in range(20):
        copy = perturb(organ, drawn)
        assert torch.corrcoef(torch.stack([copy.flatten(), organ.flatten()]))[0, 1] > 0.85


def test_all_choices_of_at_least_one_transform_are_about_as_likely():
    drawn, constant = generator(), torch.ones(1, 1, 4, 4, 4)
    changed = sum(not torch.allclose(perturb(constant, drawn), constant, atol=1e-6) for _ in range(300))
    # blur and contrast leave a constant as it is; 12 of the 15 choices hold noise or brightness
    assert 0.72 < changed / 300 < 0.88


@pytest.mark.parametrize("sigma", [0.05, 0.5, 1.0, 3.0])
def test_blur_keeps_a_constant_image_and_the_shape_of_a_thin_one(sigma):
    constant = torch.full((1, 1, 2, 3, 9), 7.0)
    torch.testing.assert_close(blur(constant, sigma), constant)
    assert blur(IMAGE, sigma).std() <= IMAGE.std()


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0])
def test_blur_in_place_is_to_the_last_bit_the_sum_that_it_stands_for(sigma):
    radius = int(4 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel, expected = kernel / kernel.sum(), IMAGE
    for axis in (2, 3, 4):
        size = IMAGE.shape[axis]
        padded = expected.index_select(axis, torch.arange(-radius, size + radius).clamp(0, size - 1))
        expected = sum(k * padded.narrow(axis, i, size) for i, k in enumerate(kernel.unbind()))
    assert torch.equal(blur(IMAGE, sigma), expected)


def test_contrast_stays_within_the_range_of_each_sample():
    stretched = stretch_contrast(IMAGE, 3.0)
    for sample, original in zip(stretched, IMAGE, strict=True):
        assert sample.min() >= original.min() and sample.max() <= original.max()
    assert stretched.std() > 1.3 * IMAGE.std()


def test_half_precision_stays_half_precision():
    assert perturb(IMAGE.to(torch.bfloat16), generator()).dtype == torch.bfloat16
