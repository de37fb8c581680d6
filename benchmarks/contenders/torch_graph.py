"""torch on CUDA, a whole step captured as one CUDA graph: gather, forward, autograd and the fused update."""

from __future__ import annotations

from typing import Any

import torch
from problem import Array, Problem

from contenders import torch_model
from contenders.contender import Contender

WARM_UP = 3
"""Steps before the capture, as torch's documentation asks for; they count as the training's first steps."""


class Graph(Contender):
    """Two graphs, for the full batches and for the rest; each reads its rows from a fixed tensor."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.work, self.device = problem.work, device
        self.net, self.loss = torch_model.network(problem, device), torch_model.loss_of(problem.work.softmax)
        self.x, self.y = torch_model.data(problem, device)
        rule = torch.optim.Adam if self.work.softmax else torch.optim.SGD
        capturable = {"capturable": True} if self.work.softmax else {}
        self.optimizer = rule(self.net.parameters(), lr=self.work.rate, fused=True, **capturable)
        self.total = torch.zeros((), device=device)
        self.graphs: dict[int, tuple[Any, Any]] = {}

    def epoch(self) -> float:
        self.total.zero_()
        for rows in self._orders():
            graph, fixed = self.graphs.get(len(rows)) or self._capture(rows)
            fixed.copy_(rows)
            graph.replay()
        return float(self.total) / (self.work.steps or 1) / self.work.rows

    def _orders(self) -> Any:
        if self.work.steps:
            return [torch.arange(self.work.rows, device=self.device)] * self.work.steps
        return torch.randperm(self.work.rows, device=self.device).split(self.work.batch)

    def _capture(self, rows: Any) -> tuple[Any, Any]:
        fixed, before = rows.clone(), self.total.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step(fixed)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)  # so that the gradients lie in the graph's own memory
        with torch.cuda.graph(graph):
            self._step(fixed)
        self.total.copy_(before)
        self.graphs[len(rows)] = graph, fixed
        return graph, fixed

    def _step(self, rows: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.net(self.x.index_select(0, rows)), self.y.index_select(0, rows))
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach() * len(rows)

    def logits(self, x: Array) -> Array:
        return torch_model.logits(self.net, x, self.device)
