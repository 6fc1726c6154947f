"""Transformers' Trainer: `python -m demo.examples.transformers [--logdir runs/transformers]`.

One callback; concepts go into the event file of the Trainer's own TensorBoard callback, over its steps.
"""

import argparse
import os

from torchvision.transforms.functional import to_tensor
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

import conceptmon_tb as cm
from conceptmon_tb.integrations.transformers import ConceptMonitorCallback
from conceptmon_tb.world import CLASSES, WorldDataset

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", default="runs/transformers")
logdir = parser.parse_args().logdir
os.environ["TENSORBOARD_LOGGING_DIR"] = logdir  # where the Trainer writes its event file

size = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
model = ViTForImageClassification(ViTConfig(**size, image_size=32, patch_size=8, num_labels=len(CLASSES)))
pictures = WorldDataset(256, seed=11, size=32, task="objects")
train_set = [{"pixel_values": to_tensor(picture), "labels": label} for picture, label in pictures]
arguments = TrainingArguments(
    output_dir=f"{logdir}/checkpoints",
    num_train_epochs=3,
    per_device_train_batch_size=64,
    learning_rate=1e-3,
    logging_steps=1,
    report_to="tensorboard",
    use_cpu=True,
)
# Layers are named as in model.named_modules(); the neurons of a transformer's layer are its dimensions.
monitor = cm.ConceptMonitor(["vit.layers.0", "vit.layers.2"], cm.ProbeSet.world(300, 32, transform=to_tensor))
Trainer(model, arguments, train_dataset=train_set, callbacks=[ConceptMonitorCallback(monitor)]).train()
print(f"done; now: tensorboard --logdir {logdir}")
