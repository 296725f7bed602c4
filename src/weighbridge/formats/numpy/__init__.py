"""NumPy: `.npy` files (`formats.numpy.npy`), and what numpy's own descriptions of an array mean (`descr`, pickled dtypes)."""
