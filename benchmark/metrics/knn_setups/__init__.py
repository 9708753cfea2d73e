"""The folder that ``evaluate.load`` takes, and that ``publish-metrics`` makes a Space of."""
