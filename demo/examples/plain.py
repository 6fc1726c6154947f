"""A training loop of one's own: `python -m demo.examples.plain [--logdir runs/plain]`.

`ConceptWriter` is torch's SummaryWriter with one method more.
"""

import argparse

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/plain")
logdir = parser.parse_args().logdir

torch.manual_seed(0)
pictures = WorldDataset(256, seed=11, size=32, task="objects")
train_set = [(to_tensor(picture), label) for picture, label in pictures]
model = SmallResNet(len(CLASSES), width=8, image_size=32)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

# The probe set: pictures that the network is looked at with, put through the same transform as in training.
probe = cm.ProbeSet.world(300, size=32, transform=to_tensor)
monitor = cm.ConceptMonitor(layers=["layer2", "layer4"], probe=probe)
with cm.ConceptWriter(logdir, monitor=monitor) as writer:
    writer.add_concepts(model, global_step=0)  # before training
    for epoch in range(1, 4):
        for images, labels in DataLoader(train_set, 16, shuffle=True):
            loss = cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        writer.add_scalar("loss", loss.item(), epoch)
        writer.add_concepts(model, epoch)
print(f"done; now: tensorboard --logdir {logdir}")
