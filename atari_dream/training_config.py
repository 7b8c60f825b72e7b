"""How a predictor is trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from atari_dream.games import FRAME_SKIP


@dataclass(frozen=True)
class TrainingConfig:
    """How a predictor is trained.

    Attributes:
        model: Name in the registry.
        data: Folder of the store.
        out: Folder of the checkpoint; `<out>.training` beside it holds logs and the state to resume from.
        game: Game that the store must be of.
        config: What the model is built with.
        steps: Updates, or None where `minutes` counts.
        minutes: Time to train for, or None where `steps` counts.
        clock: What minutes are: `"wall"`, or `"cpu"`, this process's own, fair on a machine that others use.
        batch: Windows in a batch, over all processes.
        context: Steps that the predictor watches first, or None for as many as when it dreams.
        horizon: Steps of each window that are predicted.
        frame_skip: Emulator frames per step.
        learning_rate: At the start; it falls linearly to a hundredth.
        beta: Weight of the latent's divergence against the pixels; above 1 the latent holds only what it must.
        free_bits: Nats of the latent's divergence that cost nothing.
        image_losses: Factors of `losses.IMAGE_LOSSES` of the last predicted image.
        adversary: Loss of adversaries, a name in `losses.ADVERSARIAL`.
        adversary_share: Share of the gradient that each adversary of the model is held at; 0 trains without.
        clip: Largest norm of the gradient.
        seed: Of weights, windows and noise.
        device: `"auto"`, `"cpu"`, `"cuda"` or `"mps"`.
        precision: `"auto"` (bf16 on cuda, else 32 bit), `"32-true"` or `"bf16-mixed"`.
        workers: Processes that decode windows.
        validate_every: Updates between two validations.
        validation_windows: Windows of the validation split.
        init: Checkpoint whose weights to begin with.
        prime: Frames from which a model that can learns single steps before it is rolled out; of the play that branches
            off the store, for a model that learns from that.
        policy: Who plays new games, from which some models learn besides, as `atari-dream record --policy` takes it; or
            None for no new games.
        resume: Whether to go on from the state of an earlier run.
    """

    model: str
    data: str
    out: str
    game: str
    config: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None
    minutes: float | None = None
    clock: Literal["wall", "cpu"] = "wall"
    batch: int = 16
    context: int | None = None
    horizon: int = 12
    frame_skip: int = FRAME_SKIP
    learning_rate: float = 2e-3
    beta: float = 1.0
    free_bits: float = 0.0
    image_losses: dict[str, float] = field(default_factory=dict)
    adversary: str = "bce"
    adversary_share: float = 0.2
    clip: float = 1.0
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    workers: int = 1
    validate_every: int = 500
    validation_windows: int = 64
    init: str | None = None
    prime: int = 0
    policy: str | None = None
    resume: bool = False

    @property
    def state_folder(self) -> Path:
        """Where logs and the state to resume from are."""
        return Path(f"{self.out}.training")
