"""Eight bits: rows of matrices as whole numbers, each row with a worth of its own."""

import torch

from atari_dream.eight_bits import packed, unpacked


def test_rows_have_a_worth_of_their_own() -> None:
    rows = torch.tensor([[127.0, -64.0, 1.0], [0.5, 0.25, -0.5]])
    stored = packed("weight", rows)
    assert stored["weight"].tolist()[0] == [127, -64, 1] and stored["weight"].dtype == torch.int8
    assert stored["weight"][1].abs().max() == 127
    assert torch.allclose(unpacked(stored)["weight"], rows, atol=0.5 / 127)


def test_what_is_whole_numbers_already_comes_back_exactly() -> None:
    numbers = torch.arange(-127, 128).float().repeat(3, 1)[:, :, None, None] * torch.tensor(
        [1.0, 0.5, 4]
    ).view(3, 1, 1, 1)
    assert torch.equal(unpacked(packed("weight", numbers))["weight"], numbers)


def test_a_row_of_zeros_stays_and_biases_are_halves() -> None:
    stored = packed("weight", torch.zeros(2, 3)) | packed("bias", torch.tensor([0.1, -3.0]))
    assert not unpacked(stored)["weight"].any()
    assert unpacked(stored)["bias"].dtype == torch.float16
    assert torch.isfinite(unpacked(stored)["weight"]).all()


def test_buffers_pass() -> None:
    counts = {"table": torch.arange(4), "entry": torch.arange(4, dtype=torch.uint8)}
    assert all(torch.equal(part, counts[name]) for name, part in unpacked(counts).items())
