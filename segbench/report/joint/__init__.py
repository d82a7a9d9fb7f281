"""Several leaderboards in one view: ranks by data set, never a mean of scores."""
