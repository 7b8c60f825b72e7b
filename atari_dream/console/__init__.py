"""The console's memory as the state of a game: how it goes on, and what the screen shows of it."""
