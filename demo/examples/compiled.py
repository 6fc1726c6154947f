"""A compiled model, trained in bfloat16: `python -m demo.examples.compiled [--logdir runs/compiled]`.

`add_concepts` takes the compiled model as it is. The probe runs through the code that was compiled, as plain
Python in float32, so that every layer can be seen; the compiled code is left alone and not compiled again.
"""

import argparse

import torch
from torch._dynamo.utils import counters
from torch.nn.functional import cross_entropy

import conceptmon_tb as cm
from demo.network import SmallResNet

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/compiled")
logdir = parser.parse_args().logdir

torch.manual_seed(0)
images, labels = torch.rand(256, 3, 32, 32), torch.randint(4, (256,))
model = SmallResNet(num_classes=4, width=8, image_size=32)
# "aot_eager" needs no C++ compiler. Leave `backend` out for speed; `model.compile()` is watched as well.
compiled = torch.compile(model, backend="aot_eager")
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

# Layers have the names that they have in the plain model.
monitor = cm.ConceptMonitor(layers=["layer2", "layer4.conv2"], probe=cm.ProbeSet.world(300, size=32))
with cm.ConceptWriter(logdir, monitor=monitor) as writer:
    for epoch in range(3):
        for batch in torch.randperm(256).split(64):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = cross_entropy(compiled(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        writer.add_scalar("loss", loss.item(), epoch)
        writer.add_concepts(compiled, epoch)
        graphs = counters["stats"]["unique_graphs"]
        print(f"epoch {epoch}: loss {loss:.2f}, {graphs} graph(s) compiled")
