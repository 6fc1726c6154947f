"""Two kinds of network on one map, without an encoder: `python -m demo.examples.evolution [--logdir DIR]`.

The trained ResNet makes a semantic space (ConceptEvo); the checkpoints of both are then seen in it. In the
tab, lay the two runs over each other. docs/evolution.md shows the same while a network trains.
"""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/evolution", type=Path)
(logdir := parser.parse_args().logdir).mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
pictures, probe = WorldDataset(256, seed=11, size=32, task="objects"), cm.ProbeSet.world(400, size=32)
images, labels = torch.stack([to_tensor(picture) for picture, _ in pictures]), torch.tensor(pictures.labels)
parts = [nn.Conv2d(3, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 64, 3, 2), nn.ReLU(), nn.Flatten()]
plain = nn.Sequential(*parts, nn.Linear(64 * 6 * 6, len(CLASSES)))
networks = {"resnet": SmallResNet(len(CLASSES), width=8, image_size=32), "plain": plain}
for name, model in networks.items():
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for epoch in range(3):
        for batch in torch.randperm(256).split(32):
            optimizer.zero_grad()
            cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        torch.save(model.state_dict(), logdir / f"{name}{epoch}.pt")
space = cm.fit_semantic_space(networks["resnet"], ["layer2", "layer4"], probe, base="resnet", step=2)
space.save(logdir / "space.safetensors")  # for further runs
for name, layers in {"resnet": ["layer2", "layer4"], "plain": ["1", "3"]}.items():
    monitor = cm.SemanticSpaceMonitor(layers, probe, logdir / "space.safetensors")
    cm.backfill(logdir / f"{name}*.pt", networks[name], monitor, logdir / name)
