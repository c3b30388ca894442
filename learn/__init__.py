"""Float models, data, training, HQ-DM and the methods beside it, calibration, evaluation."""
