"""The race's network in PyTorch: dense Adam, SparseAdam, and the routed bfloat16 recipe."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.contestants import training_task as race


class Cross(nn.Module):
    """x0 * (W x + b) + x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(race.INPUT_WIDTH, race.INPUT_WIDTH)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x0 * self.weight(x) + x


class Tower(nn.Module):
    """A task's own layers and its logit."""

    def __init__(self) -> None:
        super().__init__()
        self.cross = nn.ModuleList(Cross() for _ in range(race.TOWER_CROSS))
        widths = (race.INPUT_WIDTH, *race.HIDDEN)
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.logit = nn.Linear(widths[-1], 1)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        for layer in self.cross:
            x = layer(x0, x)
        for layer in self.dense:
            x = torch.relu(layer(x))
        return self.logit(x).squeeze(1).float()


class Network(nn.Module):
    """One fused table, shared cross layers, two towers."""

    def __init__(self, sparse: bool, routed: bool) -> None:
        super().__init__()
        rows = np.asarray(race.TABLE_ROWS)
        self.offsets = torch.from_numpy(np.cumsum(rows) - rows)
        self.table = nn.Embedding(int(rows.sum()), race.WIDTH, sparse=sparse)
        nn.init.uniform_(self.table.weight, -0.05, 0.05)
        self.shared = nn.ModuleList(Cross() for _ in range(race.SHARED_CROSS))
        self.hard, self.soft = Tower(), Tower()
        self._routed = routed

    def forward(
        self, ids: torch.Tensor, nums: torch.Tensor, hard_count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the hard examples, which come first, and of the soft ones."""
        x0 = torch.cat([self.table(ids + self.offsets).flatten(1), nums], 1)
        x = x0
        for layer in self.shared:
            x = layer(x0, x)
        if not self._routed:
            return self.hard(x0, x)[:hard_count], self.soft(x0, x)[hard_count:]
        return (
            self.hard(x0[:hard_count], x[:hard_count]),
            self.soft(x0[hard_count:], x[hard_count:]),
        )


class Training:
    """Blocks of training steps, the batches laid out as here: hard examples first."""

    def __init__(self, steps: int, sparse: bool, routed: bool, bfloat16: bool) -> None:
        torch.manual_seed(1)
        # Denormal numbers take a slow path in the processor that TensorFlow switches off.
        torch.set_flush_denormal(True)
        clicks = race.clicks(steps * race.BATCH)
        order = np.concatenate(
            [
                rows[np.argsort(~clicks.hard[rows], kind="stable")]
                for rows in np.split(np.arange(len(clicks.label)), steps)
            ]
        )
        self._ids = torch.from_numpy(clicks.ids[order].astype(np.int64)).split(race.BATCH)
        self._nums = torch.from_numpy(clicks.nums[order]).split(race.BATCH)
        self._label = torch.from_numpy(clicks.label[order]).split(race.BATCH)
        self._hard = [int(part.sum()) for part in np.split(clicks.hard[order], steps)]
        self._network = Network(sparse, routed)
        table = list(self._network.table.parameters())
        rest = [p for name, p in self._network.named_parameters() if name != "table.weight"]
        if sparse:
            self._optimizers = [
                torch.optim.SparseAdam(table, lr=race.LEARNING_RATE),
                torch.optim.Adam(rest, lr=race.LEARNING_RATE),
            ]
        else:
            self._optimizers = [torch.optim.Adam([*table, *rest], lr=race.LEARNING_RATE)]
        self._bfloat16 = bfloat16

    def block(self) -> dict[str, float]:
        value = 0.0
        for ids, nums, label, hard in zip(
            self._ids, self._nums, self._label, self._hard, strict=True
        ):
            with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                of_hard, of_soft = self._network(ids, nums, hard)
            entropy = nn.functional.binary_cross_entropy_with_logits
            loss = 0.5 * entropy(of_hard, label[:hard]) + 0.5 * entropy(of_soft, label[hard:])
            for optimizer in self._optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for optimizer in self._optimizers:
                optimizer.step()
            value = loss.item()
        examples = float(sum(len(part) for part in self._label))
        return {"examples": examples, "loss": value}
