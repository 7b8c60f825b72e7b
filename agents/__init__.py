"""Agents of stable-baselines3: trained in a dream or in the real game, evaluated in either."""
