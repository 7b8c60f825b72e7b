"""The colours of the replays, which are Javatari's, and their palette codes in ALE: one to one, so nothing is lost.

The table is the NTSC palette of Javatari, the emulator that people played the Atari Grand Challenge in, by TIA colour
code (github.com/ppeccin/javatari, `NTSCPalette.java`). 126 of its 128 entries, all but 236 and 238, have been seen in
play recorded with it beside ALE's picture of the same memory; none disagreed.
"""

from functools import cache
from typing import Literal

import cv2
import numpy as np

from atari_dream.palette import PALETTE

_HEX = (
    "0000004040406c6c6c909090b0b0b0c8c8c8dcdcdcf4f4f4444400646410848424a0a034b8b840d0d050e8e85cfcfc68"
    "702800844414985c28ac783cbc8c4ccca05cdcb468ecc878841800983418ac5030c06848d0805ce09470eca880fcbc94"
    "8800009c2020b03c3cc05858d07070e08888eca0a0fcb4b478005c8c2074a03c88b0589cc070b0d084c0dc9cd0ecb0e0"
    "480078602090783ca48c58b8a070ccb484dcc49cecd4b0fc1400843020984c3cac6858c07c70d09488e0a8a0ecbcb4fc"
    "0000881c209c3840b0505cc06874d07c8ce090a4eca4b8fc00187c1c38903854a85070bc6888cc7c9cdc90b4eca4c8fc"
    "002c5c1c4c783868905084ac689cc07cb4d490cce8a4e0fc003c2c1c5c48387c64509c8068b4947cd0ac90e4c0a4fcd4"
    "003c00205c20407c405c9c5c74b4748cd08ca4e4a4b8fcb8143800345c1c507c386c985084b4689ccc7cb4e490c8fca4"
    "2c30004c501c687034848c4c9ca864b4c078ccd488e0ec9c442800644818846830a08444b89c58d0b46ce8cc7cfce08c"
)
_JAVATARI = np.repeat(np.frombuffer(bytes.fromhex(_HEX), np.uint8).reshape(128, 3), 2, axis=0)

Palette = Literal["agc", "ale"]
PALETTES: dict[Palette, np.ndarray] = {"agc": _JAVATARI, "ale": PALETTE}
"""RGB of each palette code, uint8 (256, 3), as the replays show it and as ALE does."""
UNKNOWN = 1
"""Stands for a colour that is not in a palette; real codes are even."""


def to_codes(picture: np.ndarray, palette: Palette = "agc") -> np.ndarray:
    """Palette codes of a picture.

    Args:
        picture: BGR, as OpenCV reads it, uint8 (H, W, 3).
        palette: Whose colours they are.

    Returns:
        uint8 (H, W), `UNKNOWN` where a colour is not in the palette.
    """
    packed = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA).view(np.uint32)[..., 0] - np.uint32(0xFF000000)
    return _lookup(palette)[packed]


def to_picture(codes: np.ndarray, palette: Palette = "ale") -> np.ndarray:
    """The picture of palette codes, uint8 (H, W), in BGR, as OpenCV writes it, uint8 (H, W, 3)."""
    return PALETTES[palette][codes][..., ::-1]


@cache
def _lookup(palette: Palette) -> np.ndarray:
    """The code of each of 2**24 colours: indexing it is four times as fast as a sorted search."""
    red, green, blue = PALETTES[palette][::2].astype(np.uint32).T
    table = np.full(1 << 24, UNKNOWN, np.uint8)
    table[red << 16 | green << 8 | blue] = np.arange(0, 256, 2)
    return table
