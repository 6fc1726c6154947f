"""A training that is killed and resumed: `python -m demo.examples.resume [--logdir DIR] [--kill-at 1]`.

Start it with --kill-at 1, then without: it goes on at the checkpoint, and the log has each epoch once.
"""

import argparse
import os
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/resume", type=Path)
parser.add_argument("--kill-at", type=int)
args = parser.parse_args()
model = SmallResNet(len(CLASSES), width=8, image_size=32)
optimizer = torch.optim.SGD(model.parameters(), lr=0.005)
pictures = [(to_tensor(p), label) for p, label in WorldDataset(64, seed=11, size=32, task="objects")]
monitor = cm.ConceptMonitor(["layer2", "layer4"], cm.ProbeSet.world(60, size=32, transform=to_tensor))
saved = args.logdir / "checkpoint.pt"
first, weights = torch.load(saved, weights_only=True) if saved.exists() else (0, model.state_dict())
model.load_state_dict(weights)  # what the killed session logged from `first` on is hidden and logged anew
with cm.ConceptWriter(args.logdir, monitor=monitor, purge_step=first) as writer:
    for epoch in range(first, 4):
        for images, labels in torch.utils.data.DataLoader(pictures, 32):
            cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()
        writer.add_concepts(model, epoch)  # in the file when this returns, whatever comes then
        if epoch == args.kill_at:
            os.kill(os.getpid(), 9)  # as a machine or a job manager does
        if epoch % 2 == 0:
            torch.save((epoch + 1, model.state_dict()), saved)
print("epochs in the log:", *cm.read_run(args.logdir).steps)
