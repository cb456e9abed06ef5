"""How far the confidence of a model is to be believed: the chapter, its measures and temperatures."""
