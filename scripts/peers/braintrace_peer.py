"""braintrace on CPU: eligibility traces forwards in time, the whole training iteration in one jit.

python braintrace_peer.py FILE eprop FORM THREADS PRECISION. Forms of the same gradient:
  d-rtrl        braintrace.D_RTRL (EProp without its filter), the batch as an axis of the traces
  d-rtrl-vmap   the same compiled for one trial, and vmapped over the batch
The readout's filter stands in the cells, as a state of each: then voltage, adaptation and filtered spikes of a cell are one group of
states, its Jacobian is exact, and D_RTRL is e-prop. A state must not depend on another one of the same step, whose part of the gradient
D_RTRL would count twice: the filter takes the spikes of the step before, and the readout is read one step later. EProp's own filter, of the trace before its product with ψ, would be another rule.
pp_prop, which keeps traces per cell, approximates them and is left out. BPTT is not what the library is for.
"""
import os
import sys

path, rule, form, threads, precision = sys.argv[1:6]
if threads == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_X64"] = "1" if precision == "f64" else "0"
import brainstate
import braintrace
import jax
import jax.numpy as jnp
import numpy as np
import optax

from work import Work, serve

brainstate.environ.set(precision=64 if precision == "f64" else 32)
dtype = np.float64 if precision == "f64" else np.float32
w = Work(path, dtype)
assert rule == "eprop" and not w.signed, "e-prop alone; Dale's law and rewiring are in the JAX peer only"
al, rho, kappa, thr, gamma, n_ref = (dtype(v) for v in (w.alpha, w.rho, w.kappa, w.thr, w.gamma, w.n_ref))
# 1 − x in double precision: in single, 1 − ρ would be off by 6e-5 and with it every adaptive threshold.
al1, rho1, kappa1 = (dtype(1 - v) for v in (w.alpha, w.rho, w.kappa))
x, beta, label, target = (jnp.asarray(v) for v in (w.x, w.beta, w.label, w.target))
masks = {k: jnp.asarray(getattr(w, "m" + k[1:])) for k in ("w_in", "w_rec", "w_out")}
# One step more, without inputs: a step's output is that of the one before.
xs = jnp.concatenate([x, jnp.zeros_like(x[:1])])
targets = jnp.concatenate([jnp.zeros_like(target[:1]), target])
mask = jnp.ones(w.T + 1, dtype).at[0].set(0)
vmapped = form == "d-rtrl-vmap"
sg = jax.lax.stop_gradient


# The traces are derivatives forwards in time, which a custom_vjp does not have.
@jax.custom_jvp
def spike(u, free):
    return (u > 0).astype(u.dtype) * free


@spike.defjvp
def spike_derivative(primals, tangents):
    u, free = primals
    return spike(u, free), gamma / thr * jnp.maximum(0, 1 - jnp.abs(u / thr)) * free * tangents[0]


class Network(brainstate.nn.Module):
    """Recurrent adaptive cells and readouts of their filtered spikes."""

    def __init__(self):
        super().__init__()
        self.w_in = brainstate.ParamState(jnp.asarray(w.w_in))
        self.w_rec = brainstate.ParamState(jnp.asarray(w.w_rec))
        self.w_out = brainstate.ParamState(jnp.asarray(w.w_out))
        self.b = brainstate.ParamState(jnp.zeros(w.n_out, dtype))

    def init_state(self, batch_size=None, **_):
        shape = (w.N,) if batch_size is None else (batch_size, w.N)
        self.v, self.a, self.filtered = (brainstate.HiddenState(jnp.zeros(shape, dtype)) for _ in range(3))
        self.r, self.count = (brainstate.ShortTermState(jnp.zeros(shape, dtype)) for _ in range(2))

    def spikes(self):
        return spike(self.v.value - thr - beta * self.a.value, (self.r.value < 0.5).astype(dtype))

    def update(self, x):
        """A step; its output is the readout of the spikes before it."""
        z = self.spikes()
        current = braintrace.matmul(x * al1, self.w_in.value) + braintrace.matmul(z * al1, self.w_rec.value)
        self.v.value = al * self.v.value + current - thr * z
        self.a.value = rho * self.a.value + rho1 * z
        self.r.value = jnp.maximum(self.r.value - 1, 0) + n_ref * sg(z)
        self.count.value = self.count.value + sg(z)
        self.filtered.value = kappa * self.filtered.value + kappa1 * z
        return self.filtered.value @ self.w_out.value + self.b.value


network = Network()
NAMES = ("w_in", "w_rec", "w_out", "b")
params = {name: getattr(network, name) for name in NAMES}
learner = braintrace.compile(network, braintrace.D_RTRL, x[0], batch_size=w.B, vmap=vmapped)
optimiser = optax.adam(w.lr)


def class_loss(x):
    return optax.softmax_cross_entropy_with_integer_labels(learner(x), label).mean()


def step_loss(x, target):
    return 0.5 * ((learner(x) - target) ** 2).sum() / w.B


def gradients():
    """Loss, spikes and gradients of the batch."""
    learner.reset_state(batch_size=w.B)
    if w.classes:
        learner.etrace_evolve(xs[:-1])
        g, e = learner.etrace_grad(xs[-1:], step_fn=class_loss, weights=params, reduction="sum", loss_output="scalar", return_value=True)
    else:
        g, e = learner.etrace_grad(xs, targets, step_fn=step_loss, mask=mask, weights=params, reduction="sum", loss_output="scalar", return_value=True)
    return e, network.count.value.sum(), {k: g[k] * masks[k] if k in masks else g[k] for k in g}


@brainstate.transform.jit
def iteration(state):
    _, _, g = gradients()
    if not w.bias:
        g["b"] = jnp.zeros_like(g["b"])
    before = {k: p.value for k, p in params.items()}
    updates, state = optimiser.update(g, state, before)
    for k, value in optax.apply_updates(before, updates).items():
        params[k].value = value
    return state


state = [optimiser.init({k: p.value for k, p in params.items()})]


def step():
    state[0] = iteration(state[0])
    jax.block_until_ready(state[0])


if __name__ == "__main__":
    about = {"peer": "braintrace", "version": braintrace.__version__, "form": form}
    serve(w, lambda: brainstate.transform.jit(gradients)(), step, about)
