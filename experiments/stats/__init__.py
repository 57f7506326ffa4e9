"""Statistics of populations whose outcomes are bimodal and censored."""
