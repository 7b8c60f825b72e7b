"""C-IA-AE: C-AE and an inference adversary, a discriminator in latent space.

Source: C-IA-AE of *Generative Models for Video Prediction* (azeghost, 2020), after the adversarial
autoencoder of Makhzani et al. (2015). Changed as C-AE; and one discriminator (`GridCritic`) tells codes from
samples of a standard normal, in turns with the autoencoder, where the source has a network for each side.
What all of them change, `atari_dream.autoencoders.base` says.
"""

from atari_dream.autoencoders.convolutional import Convolutional
from atari_dream.design import Design
from atari_dream.registry import register_model


@register_model("c_ia_ae")
class CIAAE(Convolutional):
    """C-AE against a discriminator of codes."""

    design = Design("convolutional", adversaries=("latent",))
