"""Intersection over union against a loop over pixels."""

import pytest
import torch

from conceptmon_tb.functional.iou import iou


def test_iou_equals_the_count_of_pixels():
    generator = torch.Generator().manual_seed(0)
    neurons = torch.rand(4, 3, 5, 6, generator=generator) > 0.5
    concepts = torch.rand(4, 2, 5, 6, generator=generator) > 0.7
    expected = [
        [
            ((neurons[:, n] & concepts[:, c]).sum() / (neurons[:, n] | concepts[:, c]).sum()).item()
            for c in range(2)
        ]
        for n in range(3)
    ]
    torch.testing.assert_close(iou(neurons, concepts), torch.tensor(expected))


def test_iou_is_one_for_equal_masks_and_zero_for_empty_ones():
    masks = torch.zeros(2, 2, 3, 3, dtype=torch.bool)
    masks[0, 0, 1, 1] = True
    assert iou(masks, masks).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_masks_over_other_pixels_are_refused():
    with pytest.raises(ValueError, match="over the same pixels"):
        iou(torch.zeros(2, 1, 3, 3, dtype=torch.bool), torch.zeros(2, 1, 3, 4, dtype=torch.bool))
