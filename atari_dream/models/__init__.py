"""The predictors, one file each. A new one is a file and an import line here."""

from atari_dream.models import background, copy_last, emulator

__all__ = ["background", "copy_last", "emulator"]
