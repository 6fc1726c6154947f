"""A training that goes wrong is ended: `python -m demo.examples.alerts [--logdir runs/alerts]`.

The learning rate is far too high, so neurons die. The writer looks at every epoch with the rules of
docs/alerts.md, and the loop ends at a critical alert. The tab marks it on its time line.
"""

import argparse
import warnings

import torch
from torch.nn.functional import cross_entropy
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/alerts")
pictures = WorldDataset(256, seed=11, size=32, task="objects")
batches = torch.utils.data.DataLoader([(to_tensor(picture), label) for picture, label in pictures], 32)
torch.manual_seed(0)
model = SmallResNet(len(CLASSES), width=8, image_size=32)
optimizer = torch.optim.SGD(model.parameters(), lr=3.0, momentum=0.9)
monitor = cm.ConceptMonitor(["layer2", "layer4"], cm.ProbeSet.world(300, size=32, transform=to_tensor))
warnings.simplefilter("ignore", cm.ConceptAlert)  # they are printed below

with cm.ConceptWriter(parser.parse_args().logdir, monitor=monitor, on_alert=print) as writer:
    writer.add_concepts(model, global_step=0)
    for epoch in range(1, 9):
        for images, labels in batches:
            loss = cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        writer.add_scalar("loss/train", loss, epoch)  # the writer takes note of it, for the rules
        writer.add_concepts(model, global_step=epoch)
        if any(alert.severity == "critical" for alert in writer.alerts.active):
            print(f"ended after epoch {epoch}")
            break
