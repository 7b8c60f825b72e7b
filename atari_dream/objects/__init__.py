"""What is where in a game: by the console's memory for the real game, by its pixels for any other.

One file a game; importing this package registers them. A new game is one file and one import line.
"""

from atari_dream.objects import pacman, pinball, qbert, revenge, space_invaders  # noqa: F401
