"""Everything that README and docs show of results/: tables, sentences and figures."""
