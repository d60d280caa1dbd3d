"""spyx on CPU: spyx.nn.run (lax.scan) over layers of Flax, the whole training iteration in one nnx.jit.

python spyx_peer.py FILE RULE FORM THREADS PRECISION; RULE is bptt or eprop. Forms of the same gradient:
  run         the projections of the inputs are part of the layer that spyx.nn.run scans
  projected   the inputs of all steps are projected before it, in one matrix product
spyx's own recurrent cells have neither adaptation nor refractory periods, and its ALIF has no recurrence and another reset. The cells
are therefore a layer that keeps spyx's protocol (initial_state and a call per step), with a surrogate derivative of spyx.axn.custom.
"""
import os
import sys

path, rule, form, threads, precision = sys.argv[1:6]
if threads == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_X64"] = "1" if precision == "f64" else "0"
import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx
from flax import nnx

from work import Work, serve

dtype = np.float64 if precision == "f64" else np.float32
w = Work(path, dtype)
assert not w.signed, "Dale's law and rewiring are in the JAX peer only"
al, rho, kappa, thr, gamma, n_ref = (dtype(v) for v in (w.alpha, w.rho, w.kappa, w.thr, w.gamma, w.n_ref))
# 1 − x in double precision: in single, 1 − ρ would be off by 6e-5 and with it every adaptive threshold.
al1, rho1, kappa1 = (dtype(1 - v) for v in (w.alpha, w.rho, w.kappa))
x, beta, label, target = (jnp.asarray(v) for v in (w.x, w.beta, w.label, w.target))
masks = {k: jnp.asarray(getattr(w, "m" + k[1:])) for k in ("w_in", "w_rec", "w_out")}
spike = spyx.axn.custom(lambda u: gamma / thr * jnp.maximum(0, 1 - jnp.abs(u / thr)))
sg = jax.lax.stop_gradient


class Cells(nnx.Module):
    """Recurrent adaptive cells with a refractory period: spikes of a step from the currents of its inputs."""

    def __init__(self):
        self.w_rec = nnx.Param(jnp.asarray(w.w_rec))
        self.w_in = nnx.Param(jnp.asarray(w.w_in))

    def currents(self, x):
        return x @ (self.w_in[...] * masks["w_in"] * al1)

    def __call__(self, x, state):
        v, ad, z, r = state
        recurrent = (sg(z) if rule == "eprop" else z) @ (self.w_rec[...] * masks["w_rec"] * al1)
        v = al * v + (self.currents(x) if form == "run" else x) + recurrent - thr * z
        ad = rho * ad + rho1 * z
        r = jnp.maximum(r - 1, 0) + n_ref * sg(z)
        z = spike(v - thr - beta * ad) * (r < 0.5).astype(dtype)
        return z, (v, ad, z, r)

    def initial_state(self, batch):
        return (jnp.zeros((batch, w.N), dtype),) * 4


class Readout(nnx.Module):
    """A leaky readout; its filter is spyx.nn.LI."""

    def __init__(self):
        self.w_out = nnx.Param(jnp.asarray(w.w_out))
        self.leak = spyx.nn.LI((w.n_out,), kappa, rngs=nnx.Rngs(0))

    def __call__(self, z, y):
        return self.leak(z @ (self.w_out[...] * masks["w_out"] * kappa1), y)

    def initial_state(self, batch):
        return self.leak.initial_state(batch)


class Network(nnx.Module):
    def __init__(self):
        self.cells, self.readout = Cells(), Readout()
        self.b = nnx.Param(jnp.zeros(w.n_out, dtype))

    def __call__(self, x, state):
        z, cells = self.cells(x, state[0])
        y, readout = self.readout(z, state[1])
        return (None if w.classes else y), (cells, readout, state[2] + sg(z).sum())

    def initial_state(self, batch):
        readout = self.readout.initial_state(batch).astype(dtype)
        return self.cells.initial_state(batch), readout, jnp.zeros((), dtype)


def loss(network):
    ys, (_, last, spikes) = spyx.nn.run(network, x if form == "run" else network.cells.currents(x), network.initial_state(w.B))
    if w.classes:
        losses = optax.softmax_cross_entropy_with_integer_labels(last + network.b[...], label)
        return losses.mean(), spikes
    return 0.5 * ((ys + network.b[...] - target) ** 2).sum() / w.B, spikes


def trained(path, value):
    """All weights, the bias where the workload has one, and not the readout's time constant."""
    return isinstance(value, nnx.Param) and "leak" not in path and (w.bias or "b" not in path)


network = Network()
optimiser = nnx.Optimizer(network, optax.adam(w.lr), wrt=trained)
gradient = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, trained), has_aux=True)


@nnx.jit
def iteration(network, optimiser):
    _, g = gradient(network)
    optimiser.update(network, g)


def step():
    iteration(network, optimiser)
    jax.block_until_ready(nnx.state(network))


def check():
    (e, spikes), g = nnx.jit(gradient)(network)
    return e, spikes, {"w_in": g.cells.w_in[...], "w_rec": g.cells.w_rec[...], "w_out": g.readout.w_out[...]}


if __name__ == "__main__":
    serve(w, check, step, {"peer": "spyx", "version": spyx.__version__, "form": form})
