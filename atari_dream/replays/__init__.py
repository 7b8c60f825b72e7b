"""Human replays of the Atari Grand Challenge: fetched, read, checked, and turned into episodes of ALE."""
