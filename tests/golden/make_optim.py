"""Makes optim.txt and optim_schedule.txt: what PyTorch's optimisers and schedules do (written with 1.13), in double.

Run in this folder: python3 make_optim.py

optim.txt: three parameters of odd sizes (the second one is exempt from weight decay, the third may have a learning rate of its
own), 25 gradients, and for every case the weights after some of the 25 steps. Start and gradients are exact in float.
PyTorch has no RMSProp of TensorFlow's kind: that one is computed here from its formula.
"""
import numpy as np
import torch
from torch.optim import lr_scheduler as sched

SIZES = [19, 5, 8]
STEPS = 25
SHOWN = [1, 4, 25]
FIELDS = ["lr", "momentum", "nesterov", "rho", "epsilon", "beta1", "beta2", "weight_decay", "clip_value", "clip_norm",
          "grad_scale", "multiplier"]

CASES = [
    ("sgd", "sgd_plain", dict(lr=0.1)),
    ("sgd", "sgd_decay", dict(lr=0.1, weight_decay=0.05)),
    ("sgd", "sgd_momentum", dict(lr=0.03, momentum=0.9)),
    ("sgd", "sgd_momentum_decay", dict(lr=0.03, momentum=0.9, weight_decay=0.05)),
    ("sgd", "sgd_nesterov_decay", dict(lr=0.03, momentum=0.9, nesterov=1, weight_decay=0.05)),
    ("sgd", "sgd_multiplier", dict(lr=0.03, momentum=0.9, weight_decay=0.05, multiplier=0.1)),
    ("sgd", "sgd_clip_norm", dict(lr=0.1, momentum=0.5, clip_norm=2.0)),
    ("sgd", "sgd_clip_value", dict(lr=0.1, momentum=0.5, clip_value=0.3)),
    ("sgd", "sgd_clip_both", dict(lr=0.1, momentum=0.5, clip_value=0.6, clip_norm=2.0, grad_scale=0.75)),
    ("sgd", "sgd_accumulate", dict(lr=0.1, momentum=0.5, grad_scale=0.25)),
    ("rmsprop", "rmsprop_plain", dict(lr=0.01, rho=0.9, epsilon=1e-7)),
    ("rmsprop", "rmsprop_all", dict(lr=0.01, rho=0.8, epsilon=0.1, momentum=0.9, weight_decay=0.05)),
    ("rmsprop_tf", "rmsprop_tf_plain", dict(lr=0.01, rho=0.9, epsilon=1e-10)),
    ("rmsprop_tf", "rmsprop_tf_paper", dict(lr=0.045, rho=0.9, epsilon=1.0, momentum=0.9, clip_norm=2.0)),
    ("rmsprop_tf", "rmsprop_tf_all", dict(lr=0.01, rho=0.8, epsilon=0.1, momentum=0.9, weight_decay=0.05)),
    ("adam", "adam_plain", dict(lr=0.01, beta1=0.9, beta2=0.999, epsilon=1e-7)),
    ("adam", "adam_decay", dict(lr=0.02, beta1=0.8, beta2=0.95, epsilon=0.1, weight_decay=0.05)),
    ("adamw", "adamw_plain", dict(lr=0.01, beta1=0.9, beta2=0.999, epsilon=1e-7)),
    ("adamw", "adamw_decay", dict(lr=0.02, beta1=0.8, beta2=0.95, epsilon=0.1, weight_decay=0.5, multiplier=0.5)),
]


def lr_at(base, t):
    """The learning rate of step t = 0, 1, ...: it falls twice, so that where it enters a formula matters."""
    return base * 0.5 ** (t // 9)


class RmspropTf:
    """ms = rho ms + (1 - rho) g^2; mom = mu mom + lr g / sqrt(ms + eps); w -= mom; ms starts at one."""

    def __init__(self, groups, o):
        self.param_groups, self.o = groups, o
        self.ms = [np.ones(n) for n in SIZES]
        self.mom = [np.zeros(n) for n in SIZES]

    def step(self):
        o = self.o
        for i, group in enumerate(self.param_groups):
            p = group["params"][0]
            w = p.data.numpy()
            g = p.grad.numpy() + group["weight_decay"] * w
            self.ms[i] = o["rho"] * self.ms[i] + (1 - o["rho"]) * g ** 2
            self.mom[i] = o["momentum"] * self.mom[i] + group["lr"] * g / np.sqrt(self.ms[i] + o["epsilon"])
            w -= self.mom[i]


def make_optimizer(name, groups, o):
    lr = o["lr"]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=o["momentum"], nesterov=bool(o["nesterov"]))
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, alpha=o["rho"], eps=o["epsilon"], momentum=o["momentum"])
    if name == "rmsprop_tf":
        return RmspropTf(groups, o)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(groups, lr=lr, betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])


def trajectory(name, o, start, grads):
    params = [torch.nn.Parameter(torch.from_numpy(w.copy())) for w in start]
    multipliers = [1.0, 1.0, o["multiplier"]]
    groups = [{"params": [p], "weight_decay": 0.0 if i == 1 else o["weight_decay"]} for i, p in enumerate(params)]
    optimizer = make_optimizer(name, groups, o)
    norms, shown = [], []
    for t in range(STEPS):
        for p, g in zip(params, grads[t]):
            p.grad = torch.from_numpy(g * o["grad_scale"])
        if o["clip_value"]:
            torch.nn.utils.clip_grad_value_(params, o["clip_value"])
        limit = o["clip_norm"] or float("inf")
        norms.append(float(torch.nn.utils.clip_grad_norm_(params, limit)))
        for group, m in zip(optimizer.param_groups, multipliers):
            group["lr"] = lr_at(o["lr"], t) * m
        optimizer.step()
        if t + 1 in SHOWN:
            shown.append(np.concatenate([p.detach().numpy().copy() for p in params]))
    return norms, shown


def row(values):
    return " ".join(f"{v:.13g}" for v in values) + "\n"


def write_optim(path):
    rng = np.random.default_rng(20)
    draw = lambda scale: [(scale * rng.standard_normal(n)).astype(np.float32).astype(np.float64) for n in SIZES]
    start, grads = draw(1.0), [draw(0.5) for _ in range(STEPS)]
    for g in grads:
        g[0][3] = 0.0  # a weight without a gradient
    with open(path, "w") as f:
        f.write(row(SIZES) + f"{STEPS}\n" + row(np.concatenate(start)))
        for g in grads:
            f.write(row(np.concatenate(g)))
        for name, label, options in CASES:
            o = dict.fromkeys(FIELDS, 0.0) | dict(grad_scale=1.0, multiplier=1.0) | options
            norms, shown = trajectory(name, o, start, grads)
            f.write(f"{label} {name} " + row(o[k] for k in FIELDS) + row(norms))
            for at, w in zip(SHOWN, shown):
                f.write(f"{at} " + row(w))


def learning_rates(scheduler_of, base, n, metrics=None):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = scheduler_of(optimizer)
    rates = []
    for i in range(n):
        if metrics is None:
            rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if metrics is None else [metrics[i]]))
        if metrics is not None:
            rates.append(optimizer.param_groups[0]["lr"])
    return rates


def warmed(steps, main):
    """LinearLR counts its own last step, the one at full rate, as part of the rise: hence steps - 1."""
    return lambda o: sched.SequentialLR(
        o, [sched.LinearLR(o, 1 / steps, 1.0, steps - 1), main(o)], milestones=[steps])


def write_schedules(path):
    rng = np.random.default_rng(21)
    epochs = 12
    # label, kind, warm-up, step_epochs, gamma, staircase, power, final, base, steps per epoch; PyTorch's per step
    table = [
        ("step", "step", 0, 3, 0.5, 0, 1, 0, 0.1, 4, lambda o: sched.StepLR(o, 12, 0.5)),
        ("staircase", "exponential", 0, 2, 0.94, 1, 1, 0, 0.045, 3, lambda o: sched.StepLR(o, 6, 0.94)),
        ("exponential", "exponential", 0, 1, 0.8, 0, 1, 0, 0.1, 1, lambda o: sched.ExponentialLR(o, 0.8)),
        ("smooth", "exponential", 0, 2, 0.25, 0, 1, 0, 0.1, 4, lambda o: sched.ExponentialLR(o, 0.25 ** 0.125)),
        ("cosine", "cosine", 0, 1, 1, 0, 1, 0.001, 0.1, 4, lambda o: sched.CosineAnnealingLR(o, 48, 0.001)),
        ("polynomial", "polynomial", 0, 1, 1, 0, 2.5, 0, 0.1, 4, lambda o: sched.PolynomialLR(o, 48, 2.5)),
        ("warm_constant", "constant", 1, 1, 1, 0, 1, 0, 0.1, 5, lambda o: sched.LinearLR(o, 1 / 5, 1.0, 4)),
        ("warm_cosine", "cosine", 2, 1, 1, 0, 1, 0.002, 0.1, 4,
         warmed(8, lambda o: sched.CosineAnnealingLR(o, 40, 0.002))),
        ("warm_step", "step", 1.5, 3, 0.5, 0, 1, 0, 0.1, 4, warmed(6, lambda o: sched.StepLR(o, 12, 0.5))),
    ]
    # label, higher is better, patience, min_delta, factor, final (min_lr), base
    plateaus = [("loss", 0, 2, 0.0, 0.5, 0.0, 0.1), ("loss_delta", 0, 1, 0.05, 0.3, 0.004, 0.1),
                ("accuracy", 1, 3, 0.01, 0.1, 1e-4, 0.05), ("impatient", 1, 0, 0.0, 0.9, 0.0, 0.1)]
    with open(path, "w") as f:
        for label, *numbers, scheduler_of in table:
            kind, *numbers = numbers
            base, per_epoch = numbers[-2:]
            n = epochs * per_epoch
            f.write(f"{label} {kind} " + row(numbers + [n]) + row(learning_rates(scheduler_of, base, n)))
        for label, higher, patience, delta, factor, final, base in plateaus:
            n = 40
            metrics = np.round(np.exp(-0.1 * np.arange(n)) + 0.1 * rng.standard_normal(n), 3)
            metrics = 1 - metrics if higher else metrics
            rates = learning_rates(
                lambda o: sched.ReduceLROnPlateau(o, "max" if higher else "min", factor, patience, delta, "abs", 0,
                                                  final, 0.0), base, n, metrics)
            f.write(f"{label} plateau " + row([higher, patience, delta, factor, final, base, n]) + row(metrics)
                    + row(rates))


if __name__ == "__main__":
    write_optim("optim.txt")
    write_schedules("optim_schedule.txt")
