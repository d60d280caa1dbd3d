"""PyTorch on CPU: a Python loop over time.

python torch_peer.py FILE RULE FORM THREADS PRECISION; RULE is bptt or eprop. Forms of the same gradient:
  autodiff            autograd through the loop; e-prop by detaching the recurrent spikes
  autodiff-compiled   the same with torch.compile of a step
  recursion           without autograd: one backward recursion a neuron, and one matrix product over all steps
  recursion-compiled  the same with torch.compile of the two steps
The reset carries gradient here, as in Liu et al. 2021; bench_torch.py, from which this started, detaches it.
"""
import sys

import numpy as np
import torch

from work import Work, serve

path, rule, form, threads, precision = sys.argv[1:6]
torch.set_num_threads(int(threads))
torch.set_flush_denormal(True)
dtype = np.float64 if precision == "f64" else np.float32
w = Work(path, dtype)
assert not w.signed, "Dale's law and rewiring are in the JAX peer only"
N, T, B, n_out = w.N, w.T, w.B, w.n_out
al, rho, kappa, thr, gamma, n_ref = w.alpha, w.rho, w.kappa, w.thr, w.gamma, w.n_ref
x, beta, target, label = (torch.from_numpy(v) for v in (w.x, w.beta, w.target, w.label.astype(np.int64)))
masks = {k: torch.from_numpy(getattr(w, "m" + k[1:])) for k in ("w_in", "w_rec", "w_out")}
p = {k: torch.nn.Parameter(torch.from_numpy(getattr(w, k))) for k in masks}
# ε of optax and PyTorch stands after the bias correction; beside √v of these gradients that is no difference in time.
optimiser = torch.optim.Adam(p.values(), lr=w.lr)
compiled = torch.compile if form.endswith("-compiled") else lambda f: f
zeros = lambda *shape: torch.zeros(*shape, dtype=x.dtype)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, free):
        ctx.save_for_backward(u, free)
        return (u > 0).to(u.dtype) * free

    @staticmethod
    def backward(ctx, g):
        return g * psi_of(*ctx.saved_tensors), None


def psi_of(u, free):
    return gamma / thr * torch.clamp(1 - (u / thr).abs(), min=0) * free


def membrane(current, v, ad, z, r):
    v = al * v + current - thr * z
    ad = rho * ad + (1 - rho) * z
    r = torch.clamp(r - 1, min=0) + n_ref * z.detach()
    return v, ad, r, v - thr - beta * ad, (r < 0.5).to(v.dtype)


@compiled
def step_autodiff(current, v, ad, z, r, y, rec, out):
    zr = z.detach() if rule == "eprop" else z
    v, ad, r, u, free = membrane(current + zr @ rec, v, ad, z, r)
    z = Spike.apply(u, free)
    return v, ad, z, r, kappa * y + z @ out


def judge(ys):
    if w.classes:
        return torch.nn.functional.cross_entropy(ys[-1], label)
    return 0.5 * ((torch.stack(ys) - target) ** 2).sum() / B


def autodiff():
    optimiser.zero_grad(set_to_none=True)
    rec, out = p["w_rec"] * masks["w_rec"] * (1 - al), p["w_out"] * masks["w_out"] * (1 - kappa)
    # unbind, not current[t]: the backward pass of indexing is O(T) a step.
    currents = (x @ (p["w_in"] * masks["w_in"] * (1 - al))).unbind(0)
    v = ad = z = r = zeros(B, N)
    y, ys, spikes = zeros(B, n_out), [], 0.0
    for t in range(T):
        v, ad, z, r, y = step_autodiff(currents[t], v, ad, z, r, y, rec, out)
        ys.append(y)
        spikes = spikes + z.detach().sum(dtype=torch.float64)
    loss = judge(ys)
    loss.backward()
    return loss.detach(), spikes


@compiled
def step_forward(current, v, ad, z, r, rec):
    v, ad, r, u, free = membrane(current + z @ rec, v, ad, z, r)
    return v, ad, (u > 0).to(u.dtype) * free, r, psi_of(u, free)


@compiled
def step_backward(signal, psi, lv, la, back):
    if rule == "bptt":
        signal = signal + lv @ back
    d = psi * (signal - thr * lv + (1 - rho) * la)
    return al * lv + d, rho * la - beta * d


@torch.no_grad()
def recursion():
    rec, out = p["w_rec"] * masks["w_rec"] * (1 - al), p["w_out"] * masks["w_out"] * (1 - kappa)
    currents = x @ (p["w_in"] * masks["w_in"] * (1 - al))
    # One step later, so that the spikes that enter step t stand at t.
    zs, psis, lams = zeros(T + 1, B, N), zeros(T, B, N), zeros(T, B, N)
    v = ad = z = r = zeros(B, N)
    for t in range(T):
        v, ad, z, r, psi = step_forward(currents[t], v, ad, z, r, rec)
        zs[t + 1], psis[t] = z, psi
    drives = (zs[1:].reshape(T * B, N) @ out).reshape(T, B, n_out)
    y, ys = zeros(B, n_out), []
    for t in range(T):
        y = kappa * y + drives[t]
        ys.append(y)
    loss = judge(ys)
    deltas = None if w.classes else (torch.stack(ys) - target) / B
    if w.classes:
        last = (torch.softmax(y, 1) - torch.nn.functional.one_hot(label, n_out)) / B
    gs, g = zeros(T, B, n_out), zeros(B, n_out)
    for t in range(T - 1, -1, -1):
        g = (last if t == T - 1 else kappa * g) if w.classes else kappa * g + deltas[t]
        gs[t] = g
    signals = gs @ out.T
    lv = la = zeros(B, N)
    back = rec.T.contiguous()
    for t in range(T - 1, -1, -1):
        lv, la = step_backward(signals[t], psis[t], lv, la, back)
        lams[t] = lv
    lam = lams.reshape(T * B, N) * (1 - al)
    p["w_in"].grad = x.reshape(T * B, -1).T @ lam * masks["w_in"]
    p["w_rec"].grad = zs[:-1].reshape(T * B, N).T @ lam * masks["w_rec"]
    p["w_out"].grad = zs[1:].reshape(T * B, N).T @ gs.reshape(T * B, n_out) * (1 - kappa) * masks["w_out"]
    return loss, zs.sum(dtype=torch.float64)


gradients = autodiff if form.startswith("autodiff") else recursion


def check():
    loss, spikes = gradients()
    return loss, spikes, {k: p[k].grad.numpy() for k in p}


def step():
    gradients()
    optimiser.step()


if __name__ == "__main__":
    serve(w, check, step, {"peer": "PyTorch", "version": torch.__version__, "form": form})
