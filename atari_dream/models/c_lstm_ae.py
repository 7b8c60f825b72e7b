"""C-LSTM-AE: two convolutional LSTMs, the second strided, and transposed convolutions.

Source: C-LSTM-AE of *Generative Models for Video Prediction* (azeghost, 2020), ten frames through one code of
30 numbers. Changed: the LSTMs run on for as long as the dream does, and their state takes the code's place,
with what is seen going past it. What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.recurrent import Recurrent
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_lstm_ae")
class CLSTMAE(Recurrent):
    """Convolutional LSTM autoencoder."""

    design = Design("recurrent")
