"""Training for diverse concepts: `python -m demo.examples.regularizer [--logdir runs/regularizer]`.

The loss is L = cross-entropy + beta * d_anchor of the batch. The Custom Scalars tab shows d_anchor of the
batches and of the monitor's probe set in one chart.
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
parser.add_argument("--logdir", default="runs/regularizer")
logdir = parser.parse_args().logdir
torch.manual_seed(0)
pictures, encoder = WorldDataset(256, seed=11, size=32, task="objects"), cm.WorldEncoder()
features = cm.ImageFeatures(pictures, encoder)  # of the pictures as they are; each is encoded once
train_set = [(to_tensor(picture), label) for picture, label in pictures]  # augmentation belongs here
loader = DataLoader(features.indexed(train_set), batch_size=64, shuffle=True)  # items tell their number too
model = SmallResNet(len(CLASSES), width=8, image_size=32)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
probe, detector = cm.ProbeSet.world(300, size=32), cm.ClipDissect("cos_cubed")
monitor = cm.ConceptMonitor(["layer4"], probe, encoder=encoder, detector=detector)
diversity = cm.ConceptDiversityLoss(model, "layer4", encoder=encoder, beta=1.0)
with diversity, cm.ConceptWriter(logdir, monitor=monitor) as writer:
    writer.add_custom_scalars(diversity.layout())
    for epoch in range(4):
        for images, labels, index in loader:
            loss = cross_entropy(model(images), labels) + diversity(features[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss:.2f}, d_anchor of the batches {diversity.log(writer, epoch)}")
        writer.add_concepts(model, epoch)
