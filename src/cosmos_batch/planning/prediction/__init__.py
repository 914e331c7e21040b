"""Prediction: which runs are likely to arrive, learnt from those that did."""
