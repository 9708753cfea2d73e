"""Results to a data set of results on the Hub, to its leaderboard, and, where asked for, to the models' own pages."""
