"""How often a model is right, against baselines and in subgroups."""
