"""How good the images are, and how far from the float model's (docs/evaluation.md).

extractors, inception -> features; metrics, neighbours: numbers of two sets of features;
subjects: any checkpoint as a noise predictor; images: its pictures, kept as they are made;
distance: to the float model from the same seeds; run, report: all of it, as data and as a table.
"""
