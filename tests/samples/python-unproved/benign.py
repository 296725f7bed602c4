import torch


def find(name):
    return getattr(torch, name)
