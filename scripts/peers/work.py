"""What every peer shares: the workload that `mdgl bench --export` wrote, and the protocol of the driver.

Started from the benchmark scripts handed to this project (peers/common.py, bench_jax.py, bench_torch.py).
A peer is a process that answers lines on its standard input with one JSON line each:
  check        loss, spikes, and the largest relative difference of each gradient from ours
  step N       the times of N training iterations in ms
Only numpy is needed here.
"""
import json
import math
import sys
import time

import numpy as np


class Work:
    """Dense matrices [from][to] with masks, inputs [step][trial][unit], targets and constants of a workload."""

    def __init__(self, path, dtype):
        with open(path) as file:
            self.raw = json.load(file)
        network, batch = self.raw["network"], self.raw["batch"]
        (source,), (cells,), (readout,) = network["inputs"], network["populations"], network["readouts"]
        self.n_in, self.N, self.n_out = source["size"], cells["size"], readout["size"]
        self.T, self.B = round(batch["length"] / network["dt"]), batch["trials"]
        self.classes = self.raw["loss"]["kind"] == "cross-entropy"
        dt = network["dt"]
        self.alpha = math.exp(-dt / one(cells["membraneTimeConstant"]))
        self.rho = math.exp(-dt / one(cells["adaptationTimeConstant"]))
        self.kappa = math.exp(-dt / readout["timeConstant"])
        self.thr, self.gamma = one(cells["threshold"]), one(cells["dampening"])
        self.n_ref = round(one(cells["refractoryPeriod"]) / dt)
        self.beta = (np.zeros(self.N) + cells["adaptationStrength"]).astype(dtype)
        self.bias = readout["bias"]
        self.signed = cells["sign"] != "free"
        # Where a projection's gradient goes in a matrix of its own.
        self.matrices = {"w_in": (source, cells), "w_rec": (cells, cells), "w_out": (cells, readout)}
        self.index = {}
        for key, (a, b) in self.matrices.items():
            part = next(p for p in network["projections"] if p["from"] == a["name"] and p["to"] == b["name"])
            c = part["connections"]
            self.index[key] = (np.array(c["pre"]), np.array(c["post"]), part["name"])
            matrix, mask = np.zeros((a["size"], b["size"])), np.zeros((a["size"], b["size"]))
            matrix[c["pre"], c["post"]], mask[c["pre"], c["post"]] = c["values"], 1
            setattr(self, key, matrix.astype(dtype))
            setattr(self, "m" + key[1:], mask.astype(dtype))
        triples = np.array(batch["inputs"][source["name"]]["events"]).reshape(-1, 3)
        self.x = np.zeros((self.T, self.B, self.n_in), dtype)
        np.add.at(self.x, (triples[:, 1], triples[:, 0], triples[:, 2]), 1)
        targets = np.array(batch["targets"])
        self.label = targets.astype(np.int32) if self.classes else np.zeros(self.B, np.int32)
        shape = (self.B, self.T, self.n_out)
        values = np.zeros((self.T, self.B, 0)) if self.classes else targets.reshape(shape).transpose(1, 0, 2)
        self.target = np.ascontiguousarray(values.astype(dtype))
        optimiser = self.raw["optimiser"]
        self.lr, self.l1 = optimiser["learningRate"], optimiser.get("l1", 0.01)
        self.rewiring = optimiser.get("rewiring", True) and self.signed

    def differences(self, gradients, ours):
        """The largest difference of each matrix over our largest entry, where there is a synapse."""
        result = {}
        for key, (pre, post, name) in self.index.items():
            theirs, mine = np.asarray(gradients[key], np.float64)[pre, post], np.array(ours["gradients"][name])
            result[key] = float(np.abs(theirs - mine).max() / np.abs(mine).max())
        return result


def one(parameter):
    """A parameter that is the same for all neurons."""
    values = np.unique(parameter)
    assert len(values) == 1, "the peers take one value for all neurons"
    return float(values[0])


def serve(work, check, step, about):
    """Answers the driver until its end. `check()` gives loss, spikes, gradients; `step()` blocks until it is done."""
    say(about)
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "check":
            loss, spikes, gradients = check()
            with open(rest[0]) as file:
                ours = json.load(file)
            say({"loss": None if loss != loss else float(loss), "spikes": int(spikes), "differences": work.differences(gradients, ours)})
        elif command == "step":
            times = []
            for _ in range(int(rest[0])):
                begun = time.perf_counter()
                step()
                times.append((time.perf_counter() - begun) * 1000)
            say({"ms": times})


def say(value):
    print(json.dumps(value), flush=True)
