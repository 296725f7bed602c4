import subprocess


def _prepare():
    subprocess.run(["echo", "weighbridge-sample"])


class SampleModel:
    def __init__(self, config):
        _prepare()
