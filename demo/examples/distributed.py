"""DDP: `torchrun --nproc-per-node 2 -m demo.examples.distributed [--logdir runs/ddp]`, or with python alone.

Every rank does the same; the ranks share the look at the model, and rank 0 writes the one event file.
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/ddp")
if "RANK" in os.environ:  # set by torchrun
    dist.init_process_group("gloo")  # "nccl" on GPUs; concepts travel over a gloo group of their own
model = SmallResNet(len(CLASSES), width=8, image_size=32)
if dist.is_initialized():
    model = DistributedDataParallel(model)  # layers keep their plain names
pictures = WorldDataset(128, seed=11, size=32, task="objects")
train_set = [(to_tensor(picture), label) for picture, label in pictures]
sampler = DistributedSampler(train_set) if dist.is_initialized() else None
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
monitor = cm.ConceptMonitor(["layer2", "layer4"], cm.ProbeSet.world(200, size=32, batch_size=50))
with cm.ConceptWriter(parser.parse_args().logdir, monitor=monitor) as writer:  # on every rank
    for epoch in range(2):
        for images, labels in DataLoader(train_set, 16, sampler=sampler):
            optimizer.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimizer.step()
        writer.add_concepts(model, global_step=epoch)  # never inside `if rank == 0:`
if dist.is_initialized():
    dist.destroy_process_group()
