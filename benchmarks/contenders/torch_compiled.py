"""torch.compile of a whole step: gather, forward, autodiff backward and update are one graph, compiled a batch size."""

from __future__ import annotations

from typing import Any

import torch
from problem import Array, Problem
from torch.func import functional_call, grad_and_value

from contenders import torch_model
from contenders.contender import Contender
from contenders.numpy_hand import BETA1, BETA2, EPSILON


class Compiled(Contender):
    """Functional: an optimizer of torch.optim behind loss.backward() would break the graph in three."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.work, self.device, self.net = problem.work, device, torch_model.network(problem, device)
        self.x, self.y = torch_model.data(problem, device)
        params = {name: array.detach() for name, array in self.net.named_parameters()}
        zeros = [{name: torch.zeros_like(array) for name, array in params.items()} for _ in range(2)]
        # t lies on the device: a Python number would be compiled in, and every step anew
        self.state = (params, *zeros, torch.zeros((), device=device))
        self.step = torch.compile(self._adam if self.work.softmax else self._sgd, dynamic=False)

    def epoch(self) -> float:
        total = torch.zeros((), device=self.device)
        if self.work.steps:
            rows = torch.arange(self.work.rows, device=self.device)
            for _ in range(self.work.steps):
                total += self.advance(rows)
            return float(total) / self.work.steps
        for rows in torch.randperm(self.work.rows, device=self.device).split(self.work.batch):
            total += self.advance(rows) * len(rows)
        return float(total) / self.work.rows

    def advance(self, rows: Any) -> Any:
        self.state, loss = self.step(self.state, self.x, self.y, rows)
        return loss

    def _gradients(self, params: Any, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        loss = torch_model.loss_of(self.work.softmax)
        return grad_and_value(lambda own: loss(functional_call(self.net, own, x[rows]), y[rows]))(params)

    def _sgd(self, state: Any, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        params, *rest = state
        grads, loss = self._gradients(params, self.x if self.work.steps else x, y, rows)
        return ({n: w - self.work.rate * grads[n] for n, w in params.items()}, *rest), loss

    def _adam(self, state: Any, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        params, m, v, t = state
        grads, loss = self._gradients(params, x, y, rows)
        t = t + 1
        m = {n: BETA1 * m[n] + (1 - BETA1) * g for n, g in grads.items()}
        v = {n: BETA2 * v[n] + (1 - BETA2) * g * g for n, g in grads.items()}
        c1, c2 = 1 - BETA1**t, 1 - BETA2**t
        moved = {n: w - self.work.rate * (m[n] / c1) / ((v[n] / c2).sqrt() + EPSILON) for n, w in params.items()}
        return (moved, m, v, t), loss

    def logits(self, x: Array) -> Array:
        self.net.load_state_dict(self.state[0])
        return torch_model.logits(self.net, x, self.device)
