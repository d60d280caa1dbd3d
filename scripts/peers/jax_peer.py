"""JAX on CPU: lax.scan over time, the whole training iteration in one jit.

python jax_peer.py FILE RULE FORM THREADS PRECISION; RULE is bptt or eprop. Forms of the same gradient:
  autodiff    jax.grad through the scan; e-prop by stopping the recurrent gradient
  stacked     the same, but the gradients of all weights are one matrix product over all steps after the scan
  recursion   the backward pass by hand: one recursion a neuron, then the same matrix products
  traces      e-prop only: forwards in time with explicit eligibility traces, vmap over the batch
The reset carries gradient here, as in Liu et al. 2021; bench_jax.py, from which this started, detaches it.
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

from work import Work, serve

dtype = np.float64 if precision == "f64" else np.float32
w = Work(path, dtype)
N, T, B, n_in, n_out = w.N, w.T, w.B, w.n_in, w.n_out
al, rho, kappa, thr, gamma, n_ref = (dtype(v) for v in (w.alpha, w.rho, w.kappa, w.thr, w.gamma, w.n_ref))
# 1 − x in double precision: in single, 1 − ρ would be off by 6e-5 and with it every adaptive threshold.
al1, rho1, kappa1 = (dtype(1 - v) for v in (w.alpha, w.rho, w.kappa))
x, beta, label, target = (jnp.asarray(v) for v in (w.x, w.beta, w.label, w.target))
masks = {k: jnp.asarray(getattr(w, "m" + k[1:])) for k in ("w_in", "w_rec", "w_out")}
signs = {k: jnp.asarray(np.sign(getattr(w, k))) if w.signed else masks[k] for k in masks}
sg = jax.lax.stop_gradient


@jax.custom_vjp
def spike(u, free):
    return (u > 0).astype(dtype) * free


def psi_of(u, free):
    return gamma / thr * jnp.maximum(0, 1 - jnp.abs(u / thr)) * free


spike.defvjp(lambda u, free: (spike(u, free), (u, free)), lambda res, g: (g * psi_of(*res), None))


def neuron(v, ad, z, r, current):
    v = al * v + current - thr * z
    ad = rho * ad + rho1 * z
    r = jnp.maximum(r - 1, 0) + n_ref * sg(z)
    free = (r < 0.5).astype(dtype)
    u = v - thr - beta * ad
    return v, ad, spike(u, free), r, u, free


def scaled(p):
    """Weights as the equations use them; the masks and the constants in front are folded in."""
    q = {k: p[k] * masks[k] for k in masks}
    return q["w_in"] * al1, q["w_rec"] * al1, q["w_out"] * kappa1, p["b"]


zeros = jnp.zeros((B, N), dtype)


def judge(ys, y_last, b):
    """E of the batch."""
    if w.classes:
        return -jnp.take_along_axis(jax.nn.log_softmax(y_last + b), label[:, None], 1).mean()
    return 0.5 * ((ys + b - target) ** 2).sum() / B


def autodiff(p):
    def loss(p):
        w_in, rec, out, b = scaled(p)

        def f(s, current):
            v, ad, z, r, y, n = s
            zr = sg(z) if rule == "eprop" else z
            v, ad, z, r, _, _ = neuron(v, ad, z, r, current + zr @ rec)
            y = kappa * y + z @ out
            return (v, ad, z, r, y, n + sg(z).sum()), (None if w.classes else y)

        s0 = (zeros, zeros, zeros, zeros, jnp.zeros((B, n_out), dtype), jnp.zeros((), dtype))
        s, ys = jax.lax.scan(f, s0, x @ w_in)
        return judge(ys, s[4], b), s[5]

    (e, n), g = jax.value_and_grad(loss, has_aux=True)(p)
    return e, n, g


def shifted(zs):
    return jnp.concatenate([zeros[None], zs[:-1]])


def products(lam, zs):
    """∂E/∂W_in and ∂E/∂W_rec from λ [T][B][N]: one product over all steps and trials."""
    lam = lam.reshape(T * B, N) * al1
    return x.reshape(T * B, n_in).T @ lam, shifted(zs).reshape(T * B, N).T @ lam


def stacked(p):
    w_in, rec, _, _ = scaled(p)

    def loss(current, out_b):
        out, b = out_b[0] * masks["w_out"] * kappa1, out_b[1]

        def f(s, current):
            v, ad, z, r, y = s
            zr = sg(z) if rule == "eprop" else z
            v, ad, z, r, _, _ = neuron(v, ad, z, r, current + zr @ rec)
            y = kappa * y + z @ out
            return (v, ad, z, r, y), ((z, None) if w.classes else (z, y))

        s0 = (zeros, zeros, zeros, zeros, jnp.zeros((B, n_out), dtype))
        s, (zs, ys) = jax.lax.scan(f, s0, current)
        return judge(ys, s[4], b), zs

    (e, zs), (lam, (g_out, g_b)) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(x @ w_in, (p["w_out"], p["b"]))
    g_in, g_rec = products(lam, zs)
    return e, zs.sum(), dict(w_in=g_in, w_rec=g_rec, w_out=g_out, b=g_b)


def recursion(p):
    w_in, rec, out, b = scaled(p)

    def forward(s, current):
        v, ad, z, r = s
        v, ad, z, r, u, free = neuron(v, ad, z, r, current + z @ rec)
        return (v, ad, z, r), (z, psi_of(u, free))

    _, (zs, psis) = jax.lax.scan(forward, (zeros, zeros, zeros, zeros), x @ w_in)
    # The readout's filter and its adjoint are linear: few columns, one product for all steps.
    if w.classes:
        decay = kappa ** jnp.arange(T - 1, -1, -1, dtype=dtype)
        filtered = jnp.einsum("t,tbn->bn", decay, zs)
        e, g = jax.value_and_grad(lambda y: judge(None, y, b))(filtered @ out)
        g_out, g_b = filtered.T @ g * kappa1, g.sum(0)
        drive, gs = g @ out.T, decay
    else:
        drives = (zs.reshape(T * B, N) @ out).reshape(T, B, n_out)
        _, ys = jax.lax.scan(lambda y, d: (kappa * y + d,) * 2, jnp.zeros((B, n_out), dtype), drives)
        e, delta = jax.value_and_grad(lambda ys: judge(ys, None, b))(ys)
        _, gs = jax.lax.scan(lambda g, d: (kappa * g + d,) * 2, jnp.zeros((B, n_out), dtype), delta, reverse=True)
        g_out, g_b = zs.reshape(T * B, N).T @ gs.reshape(T * B, n_out) * kappa1, delta.sum((0, 1))

    # For one trial a copy of the transposed matrix is faster than reading it across.
    back = jax.lax.optimization_barrier(rec.T.copy()) if rule == "bptt" else None

    def backward(s, t):
        lv, la = s
        psi, g = t
        signal = drive * g if w.classes else g @ out.T
        if rule == "bptt":
            signal = signal + lv @ back
        d = psi * (signal - thr * lv + rho1 * la)
        lv, la = al * lv + d, rho * la - beta * d
        return (lv, la), lv

    _, lam = jax.lax.scan(backward, (zeros, zeros), (psis, gs), reverse=True)
    g_in, g_rec = products(lam, zs)
    return e, zs.sum(), dict(w_in=g_in, w_rec=g_rec, w_out=g_out, b=g_b)


def traces(p):
    w_in, rec, out, b = scaled(p)

    def trial(xs, currents, label, target):
        """One trial, forwards in time, with eligibility vectors εv, εa [pre][N] for inputs and cells together."""

        def f(s, t):
            v, ad, z, r, y, ev, ea, eb, zo, psi, g, n, e = s
            xt, current, goal = t
            pre = jnp.concatenate([xt, z])
            ev, ea = (
                (al - thr * psi) * ev + thr * beta * psi * ea + al1 * pre[:, None],
                rho1 * psi * ev + (rho - rho1 * beta * psi) * ea,
            )
            v, ad, z, r, u, free = neuron(v, ad, z, r, current + z @ rec)
            psi = psi_of(u, free)
            eb = kappa * eb + kappa1 * psi * (ev - beta * ea)
            zo = kappa * zo + kappa1 * z
            y = kappa * y + z @ out
            if not w.classes:
                delta = y + b - goal
                g = (g[0] + (p["w_out"] * masks["w_out"] @ delta) * eb, g[1] + jnp.outer(zo, delta), g[2] + delta)
                e = e + 0.5 * (delta * delta).sum()
            return (v, ad, z, r, y, ev, ea, eb, zo, psi, g, n + z.sum(), e), None

        n0, m0, o0 = jnp.zeros(N, dtype), jnp.zeros((n_in + N, N), dtype), jnp.zeros((), dtype)
        y0 = jnp.zeros(n_out, dtype)
        g0 = () if w.classes else (m0, jnp.zeros((N, n_out), dtype), y0)
        s, _ = jax.lax.scan(f, (n0, n0, n0, n0, y0, m0, m0, m0, n0, n0, g0, o0, o0), (xs, currents, target))
        if not w.classes:
            return s[12], s[11], s[10]
        delta = jax.nn.softmax(s[4] + b) - jax.nn.one_hot(label, n_out, dtype=dtype)
        signal = p["w_out"] * masks["w_out"] @ delta
        return -jax.nn.log_softmax(s[4] + b)[label], s[11], (signal * s[7], jnp.outer(s[8], delta), delta)

    e, n, g = jax.vmap(trial, in_axes=(1, 1, 0, 1))(x, x @ w_in, label, target)
    g = jax.tree.map(lambda t: t.mean(0), g)
    return e.mean(), n.sum(), dict(w_in=g[0][:n_in], w_rec=g[0][n_in:], w_out=g[1], b=g[2])


def gradients(p):
    e, n, g = {"autodiff": autodiff, "stacked": stacked, "recursion": recursion, "traces": traces}[form](p)
    return e, n, {k: g[k] * masks[k] if k in masks else g[k] for k in g}


def weights(p):
    """W = sign · max(θ, 0) under Dale's law."""
    return {k: signs[k] * jnp.maximum(p[k], 0) if w.signed and k in masks else p[k] for k in p}


@jax.jit
def iteration(p, m, v, n):
    e, _, g = gradients(weights(p))
    if w.signed:
        g = {k: signs[k] * g[k] if k in masks else g[k] for k in g}
    n = n + 1
    rate = w.lr * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    after = jax.tree.map(lambda p, m, v: p - (rate * m / (jnp.sqrt(v) + 1e-8)).astype(dtype), p, m, v)
    if not w.bias:
        after["b"] = p["b"]
    if w.rewiring:
        # Every dead entry restarts: collisions leave fewer connections than the density asks for.
        for k in masks:
            alive = p[k] > 0
            theta = jnp.where(alive, after[k] - w.lr * w.l1, 0)
            after[k] = jnp.where((theta <= 0) & (masks[k] > 0), dtype(1e-12), theta)
    return after, m, v, n, e


start = {k: jnp.abs(jnp.asarray(getattr(w, k))) if w.signed else jnp.asarray(getattr(w, k)) for k in masks}
start["b"] = jnp.zeros(n_out, dtype)
zero = jax.tree.map(jnp.zeros_like, start)
state = [start, zero, zero, jnp.zeros((), dtype), None]


def step():
    state[:] = iteration(*state[:4])
    jax.block_until_ready(state)


if __name__ == "__main__":
    serve(w, lambda: jax.jit(gradients)(weights(start)), step, {"peer": "JAX", "version": jax.__version__, "form": form})
