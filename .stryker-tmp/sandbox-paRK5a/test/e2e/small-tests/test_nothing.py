"""Instead of the sample bot's tests, where a run is about something else."""


def test_nothing():
    pass
