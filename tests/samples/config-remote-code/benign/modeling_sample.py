import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


class SampleConfig(PretrainedConfig):
    model_type = "weighbridge-sample"


class SampleModel(PreTrainedModel):
    config_class = SampleConfig

    def __init__(self, config):
        super().__init__(config)
        self.dense = nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.dense(x))
