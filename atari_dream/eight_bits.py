"""Weights in eight bits: each row of a matrix as whole numbers, and what one of them is worth.

A quarter of the room, and rows of trained weights lose next to nothing: Jacob et al. 2018, "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1, symmetric. Only what is stored is
whole numbers; what dreams are computed with is float32.
"""

import torch
from torch import Tensor

_MOST = 127
_WORTH = ":worth"
_LEAST = torch.finfo(torch.float16).tiny


def packed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """What is stored of a parameter: float16 if it is no matrix, else whole numbers and their worth.

    Args:
        name: Of the parameter.
        tensor: Floating-point numbers, (rows, ...).

    Returns:
        Tensors by name: float16 as the parameter is, or int8 (rows, ...) and float16 (rows,).
    """
    if tensor.ndim < 2:
        return {name: tensor.half()}
    rows = tensor.float().flatten(1)
    worth = (rows.abs().amax(1) / _MOST).clamp(min=_LEAST).half()
    whole = (rows / worth[:, None].float()).round().clamp(-_MOST, _MOST)
    return {name: whole.to(torch.int8).view(tensor.shape), name + _WORTH: worth}


def unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a model takes them, of what was stored; what has no worth beside it stays as it is."""
    worth = {name.removesuffix(_WORTH): part for name, part in tensors.items() if name.endswith(_WORTH)}
    return {
        name: (part.flatten(1).float() * worth[name].float()[:, None]).view(part.shape)
        if name in worth
        else part
        for name, part in tensors.items()
        if not name.endswith(_WORTH)
    }
