"""The command line: `atari-dream`, the same as `python -m atari_dream`."""

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from atari_dream.cli import run
    except ModuleNotFoundError as error:
        if error.name not in ("click", "tqdm"):
            raise
        sys.exit(f"atari-dream: {error.name} is missing: pip install 'atari-dream[cli]'")
    run()


if __name__ == "__main__":
    main()
