"""The encoder of C-LSTM-*: two convolutional LSTMs, the second on a coarser grid."""

from torch import Tensor

from atari_dream.autoencoders.base import Memory, Seen
from atari_dream.autoencoders.grid import GridAutoencoder
from atari_dream.layers import GRID, ConvLSTM, FrameEmbedding
from atari_dream.predictor import Domain


class Recurrent(GridAutoencoder):
    """The present frame and the one before enter two LSTMs.

    State: both frames, hidden state and cell of the fine LSTM, float (B, channels, 30, 20), of the coarse one,
    (B, deep, 15, 10), and lives.
    """

    context = 8
    shown = 2

    def __init__(self, domain: Domain, channels: int = 64, deep: int = 96, latent: int = 8) -> None:
        super().__init__(domain, channels, deep, latent)
        self.embed = FrameEmbedding(self.shown, channels)
        self.fine = ConvLSTM(channels, channels)
        self.coarse = ConvLSTM(deep, deep)

    def blank(self, batch: int) -> tuple[Tensor, ...]:
        """Zeros."""
        fine = self.act.table.new_zeros(batch, self.channels, *GRID)
        coarse = fine.new_zeros(batch, *self.code)
        return fine, fine, coarse, coarse

    def perceive(self, memory: Memory, action: Tensor) -> Seen:
        """Takes in the present frame; the code is what the coarse LSTM tells."""
        fine, fine_cell, coarse, coarse_cell = memory.carried
        seen = self.enter(self.embed(*memory.frames) + self.act(action))
        fine, fine_cell = self.fine(seen, fine, fine_cell)
        coarse, coarse_cell = self.coarse(self.down(fine), coarse, coarse_cell)
        return Seen((fine, fine_cell, coarse, coarse_cell), coarse, seen + fine)
