"""A time line from saved checkpoints: `python -m demo.examples.backfill [--logdir runs/backfill]`.

The training saves checkpoints as usual and knows nothing of Concept Monitor; the look at them comes later.
The same by command: conceptmon backfill --checkpoints 'ckpt/*.pt' --model demo.network:SmallResNet
--model-args '{"num_classes": 4, "width": 8, "image_size": 32}' --layers layer2 layer4 --logdir runs/backfill
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

import conceptmon_tb as cm
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/backfill")
logdir = parser.parse_args().logdir

torch.manual_seed(0)
images, labels = torch.rand(256, 3, 32, 32), torch.randint(4, (256,))
settings = {"num_classes": 4, "width": 8, "image_size": 32}
model = SmallResNet(**settings)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
folder = Path(tempfile.mkdtemp())
for epoch in range(3):
    for batch in torch.randperm(256).split(64):
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    torch.save({"epoch": epoch, "model": model.state_dict()}, folder / f"epoch{epoch}.pt")

# Weights are found in the files, steps in their names. A second call goes on where the first one stopped.
monitor = cm.ConceptMonitor(layers=["layer2", "layer4"], probe=cm.ProbeSet.world(300, size=32))
done = cm.backfill(folder / "*.pt", SmallResNet, monitor, logdir, model_args=settings)
print("\n".join(done.notes))
print(f"wrote steps {done.written}; to see them: tensorboard --logdir {logdir}")
