"""The predictors, one file each. A new one is a file and an import line here."""

from atari_dream.models import background, c_lstm_vae, copy_last, emulator

__all__ = ["background", "c_lstm_vae", "copy_last", "emulator"]
