"""TensorFlow's own files: graphs, SavedModels, checkpoints and what tfjs makes of them."""
