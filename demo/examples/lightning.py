"""Lightning's Trainer: `python -m demo.examples.lightning [--logdir runs/lightning]`.

One callback; concepts go into the event file of the Trainer's TensorBoardLogger, over its steps.
"""

import argparse

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn.functional import cross_entropy
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.integrations.lightning import ConceptMonitorCallback
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet


class Classifier(LightningModule):  # noqa: D101
    def __init__(self):
        super().__init__()
        self.net = SmallResNet(len(CLASSES), width=8, image_size=32)

    def training_step(self, batch, _):  # noqa: D102
        return cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):  # noqa: D102
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/lightning")
logger = TensorBoardLogger(parser.parse_args().logdir, name="")
pictures = WorldDataset(256, seed=11, size=32, task="objects")
batches = torch.utils.data.DataLoader([(to_tensor(picture), label) for picture, label in pictures], 16)
monitor = cm.ConceptMonitor(["layer2", "layer4"], cm.ProbeSet.world(300, size=32, transform=to_tensor))
# The module has no forward() of its own, so its part `net` is looked at; layers are named as in there.
concepts = ConceptMonitorCallback(monitor, module="net", before_training=True)
Trainer(max_epochs=3, logger=logger, callbacks=[concepts], accelerator="cpu").fit(Classifier(), batches)
