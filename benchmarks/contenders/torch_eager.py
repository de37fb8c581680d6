"""torch as it is mostly used: autograd and torch.optim, operation by operation, without a DataLoader."""

from __future__ import annotations

from typing import Any

import torch
from problem import Array, Problem

from contenders import torch_model
from contenders.contender import Contender


class Eager(Contender):
    """The fused optimizers, in which torch updates all parameters by one kernel."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.work, self.device = problem.work, device
        self.net, self.loss = torch_model.network(problem, device), torch_model.loss_of(problem.work.softmax)
        self.x, self.y = torch_model.data(problem, device)
        rule = torch.optim.Adam if self.work.softmax else torch.optim.SGD
        self.optimizer = rule(self.net.parameters(), lr=self.work.rate, fused=True)

    def epoch(self) -> float:
        total = torch.zeros((), device=self.device)
        if self.work.steps:
            for _ in range(self.work.steps):
                total += self.step(self.x, self.y)
            return float(total) / self.work.steps
        for rows in torch.randperm(self.work.rows, device=self.device).split(self.work.batch):
            # index_select takes a third of the time of x[rows] on a CPU
            total += self.step(self.x.index_select(0, rows), self.y.index_select(0, rows)) * len(rows)
        return float(total) / self.work.rows

    def step(self, x: Any, y: Any) -> Any:
        loss = self.loss(self.net(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def logits(self, x: Array) -> Array:
        return torch_model.logits(self.net, x, self.device)
