"""NEST: event-driven, double precision, one trial after another. For information only: its e-prop is that of Bellec et al.
2020, which updates after each trial and has no gradient to compare with ours.

python nest_peer.py FILE eprop bsshslm THREADS f64; started from the handed-down bench_nest.py.
"""
import sys

import nest
import numpy as np

from work import Work, serve

path, _, form, threads, _ = sys.argv[1:6]
w = Work(path, np.float64)
assert not w.signed, "no Dale's law here"
N, T, B, n_in, n_out = w.N, w.T, w.B, w.n_in, w.n_out
suffix = "_bsshslm_2020"
nest.set_verbosity("M_ERROR")
nest.ResetKernel()
nest.set(resolution=1.0, local_num_threads=int(threads), rng_seed=1)
nest.set(eprop_update_interval=float(T), eprop_learning_window=float(T), eprop_reset_neurons_on_update=True)
surrogate = dict(
    surrogate_gradient_function="piecewise_linear", surrogate_gradient_height=w.gamma, surrogate_gradient_width=w.thr
)
membrane = dict(C_m=1.0, E_L=0.0, I_e=0.0, V_m=0.0, tau_m=-1 / np.log(w.alpha))
cell = {**membrane, **surrogate, "V_th": w.thr, "t_ref": float(w.n_ref), "c_reg": 0.0, "f_target": 10.0}
slow = dict(adapt_tau=-1 / np.log(w.rho), adapt_beta=float(w.beta.max()) * (1 - w.rho))
regular = int((w.beta == 0).sum())
cells = nest.Create("eprop_iaf" + suffix, regular, cell)
cells += nest.Create("eprop_iaf_adapt" + suffix, N - regular, {**cell, **slow})
loss = "cross_entropy" if w.classes else "mean_squared_error"
readout = {**membrane, "tau_m": -1 / np.log(w.kappa), "loss": loss}
out = nest.Create("eprop_readout" + suffix, n_out, readout)
generators = nest.Create("spike_generator", n_in)
inputs = nest.Create("parrot_neuron", n_in)
targets = nest.Create("step_rate_generator", n_out)
synapse = "eprop_synapse" + suffix
optimiser = dict(type="adam", batch_size=B, optimize_each_step=False, eta=w.lr, Wmin=-100.0, Wmax=100.0)
nest.SetDefaults(synapse, dict(tau_m_readout=-1 / np.log(w.kappa), average_gradient=False, optimizer=optimiser))


def connect(pre, post, key):
    i, j, _ = w.index[key]
    weights = getattr(w, key)[i, j] * (1 - (w.kappa if key == "w_out" else w.alpha))
    spec = dict(synapse_model=synapse, weight=weights, delay=np.ones(len(i)))
    nest.Connect(np.array(pre.tolist())[i], np.array(post.tolist())[j], conn_spec="one_to_one", syn_spec=spec)


nest.Connect(generators, inputs, "one_to_one", dict(synapse_model="static_synapse", delay=1.0))
# NEST adds a weight to the voltage as it is; our equations have (1 − α) and (1 − κ) in front.
connect(inputs, cells, "w_in")
connect(cells, cells, "w_rec")
connect(cells, out, "w_out")
feedback = dict(synapse_model="eprop_learning_signal_connection" + suffix, delay=1.0, weight=w.w_out * (1 - w.kappa))
nest.Connect(out, cells, "all_to_all", feedback)
rate = dict(synapse_model="rate_connection_delayed", delay=1.0)
nest.Connect(out, out, "all_to_all", {**rate, "receptor_type": 1})
nest.Connect(targets, out, "one_to_one", {**rate, "receptor_type": 2})
recorder = nest.Create("spike_recorder")
nest.Connect(cells, recorder)


def step():
    start = nest.biological_time
    for k in range(n_in):
        times = np.concatenate([b * T + 1 + np.nonzero(w.x[:, b, k])[0] for b in range(B)])
        generators[k].spike_times = start + times.astype(float)
    for o in range(n_out):
        if w.classes:
            times, values = start + T * np.arange(B) + 1.0, (w.label == o).astype(float)
        else:
            times, values = start + 1.0 + np.arange(T * B), w.target[:, :, o].T.reshape(-1)
        targets[o].set(amplitude_times=times, amplitude_values=values)
    nest.Simulate(float(T * B))


def check():
    before = recorder.n_events
    step()
    return float("nan"), recorder.n_events - before, None


if __name__ == "__main__":
    w.differences = lambda gradients, ours: None
    serve(w, check, step, {"peer": "NEST", "version": nest.__version__, "form": form})
