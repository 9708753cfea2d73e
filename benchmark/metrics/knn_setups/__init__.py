"""The folder for ``evaluate.load``, from which ``publish-metrics`` makes a Space."""
