import os

import some_private_helper


def find(name):
    return getattr(os, name)
