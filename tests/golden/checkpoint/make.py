"""Trains the network of docs/checkpoints.md on small streets and writes ``six.pth``, as authors publish one.

PYTHONPATH=tests/support python tests/golden/checkpoint/make.py. It is kept as it was first written.
"""

from pathlib import Path

import numpy as np
import streets
import torch
from foreign_checkpoint import CHECKPOINT, PAGE, files
from torch.nn import functional

STEPS = 60
MEAN, DEVIATION = 0.45, 0.25

shown: dict = {}
exec(files(PAGE)["their_network.py"], shown)
torch.manual_seed(0)
torch.set_num_threads(1)
images, labels = (torch.tensor(np.stack(part)) for part in zip(*map(streets.street, range(100, 124)), strict=True))
pixels = (images.permute(0, 3, 1, 2) / 255 - MEAN) / DEVIATION
network = shown["Net"](len(streets.THEIR_CLASSES))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(STEPS):
    optimizer.zero_grad()
    scores = functional.interpolate(network(pixels), labels.shape[-2:], mode="bilinear")
    functional.cross_entropy(scores, labels.long()).backward()
    optimizer.step()
torch.save(network.state_dict(), Path(CHECKPOINT))
