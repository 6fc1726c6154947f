"""Monitoring within limits of time: `python -m demo.examples.cost [--logdir runs/cost]`.

Every second epoch is looked at, for about half a second at most, and scored while the next one trains.
"""

import argparse

import torch
from torch.nn.functional import cross_entropy

import conceptmon_tb as cm
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/cost")
logdir = parser.parse_args().logdir

torch.manual_seed(0)
images, labels = torch.rand(256, 3, 32, 32), torch.randint(4, (256,))
model = SmallResNet(num_classes=4, width=8, image_size=32)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

# The time limit is kept by looking at fewer images: a part is chosen before the first look, and stays.
probe = cm.ProbeSet.world(1500, size=32)
monitor = cm.ConceptMonitor(["layer2", "layer4"], probe, max_seconds=0.5, scoring_device="auto")
epochs = 6
with cm.ConceptWriter(logdir, monitor=monitor, every_n_epochs=2, asynchronous=True) as writer:
    for epoch in range(epochs):
        for batch in torch.randperm(256).split(64):
            loss = cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        writer.add_concepts(model, epoch, force=epoch == epochs - 1)  # the last epoch is always of interest
        print(f"epoch {epoch}: loss {loss:.2f}")

cost = monitor.last_cost  # its seconds are also in TensorBoard, as the scalar concepts/seconds
print(f"a look at {cost.images} of {probe.total} images, {cost.forward_seconds:.2f} s of forward passes,")
print(f"and {cost.scoring_seconds:.2f} s of scoring beside the training")
