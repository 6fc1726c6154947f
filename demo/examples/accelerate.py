"""Accelerate: `accelerate launch -m demo.examples.accelerate [--logdir runs/accelerate]`, or with python.

Concepts go through the writer of Accelerate's own TensorBoard tracker, beside what it logs.
"""

import argparse

import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/accelerate")
accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=parser.parse_args().logdir)
accelerator.init_trackers("resnet")
writer = accelerator.get_tracker("tensorboard", unwrap=True)  # a SummaryWriter

pictures = WorldDataset(256, seed=11, size=32, task="objects")
train_set = [(to_tensor(picture), label) for picture, label in pictures]
net = SmallResNet(len(CLASSES), width=8, image_size=32)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
model, optimizer, batches = accelerator.prepare(net, optimizer, DataLoader(train_set, 16, shuffle=True))
monitor = cm.ConceptMonitor(["layer2", "layer4"], cm.ProbeSet.world(300, size=32, transform=to_tensor))
for epoch in range(3):
    for images, labels in batches:
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
    accelerator.log({"loss": loss.item()}, step=epoch)
    snapshots = monitor.observe(accelerator.unwrap_model(model))  # on all processes, which share the work
    if accelerator.is_main_process:
        cm.add_concepts(writer, snapshots, epoch, monitor.probe)
accelerator.end_training()
