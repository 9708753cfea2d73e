"""Templates of the cards: what the Hub shows of a data set, a metric, a leaderboard."""
