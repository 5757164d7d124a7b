"""Makes mini_inception.txt and mini_inception.bin: 20 training steps of a small Inception in PyTorch (written with 1.13).

Run in this folder: python3 make_mini_inception.py [--search N]

The network has every op of layers/ in it; tests/test_golden.c builds the same one. Everything here is in double: it is the
truth that both builds of Facet are held against. Neither weights nor images are stored. Both sides make them from an integer
generator seeded by a name. All other constants are powers of two, or numbers that never pass through float. Dropout masks are
Facet's: Philox4x32-10 keyed by (seed of the step, index of the node).

A ReLU's input near 0, or two near equal candidates of a max pool, may fall on the other side in float; the gradient jumps there, and
training goes on from it along another path. So the generator has a KEY, here and in the test: of 1,500 tried by --search N
the one whose three runs stay farthest from such kinks, 4e-6 of the values' root mean square.

mini_inception.txt: the optimisers with their four losses at every step, the four losses of the trained network in inference
    and the norm of its running statistics; then the parameters, in order, with the place of their first gradient in
mini_inception.bin: doubles, little-endian: the gradient of the weighted sum of the losses at the first step.
"""
import hashlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
BATCH, STEPS, H, W, C, CLASSES, TAGS, NUMBERS, SHARES = 8, 20, 14, 11, 3, 7, 5, 6, 4
WEIGHTS = [1.0, 0.4, 0.1, 0.1]
LOSSES = ["softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "huber"]
KEY = "1039/"
M32, M64 = 2 ** 32 - 1, 2 ** 64 - 1


# ---- numbers that both sides make

def fnv(name):
    h = 0xCBF29CE484222325
    for byte in (KEY + name).encode():
        h = (h ^ byte) * 0x100000001B3 & M64
    return h


def numbers(name, n):
    """n multiples of 2^-23 in [-1, 1): the upper 24 bits of a linear congruential generator (Knuth's MMIX)."""
    state, out = fnv(name), np.empty(n)
    for i in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) & M64
        out[i] = (state >> 40) / 2.0 ** 23 - 1
    return out


def choices(name, n, k):
    """n whole numbers in 0 .. k-1."""
    return np.floor((numbers(name, n) + 1) / 2 * k).astype(np.int64)


def spread(fan_in):
    """The power of two s with the largest s^2 fan_in <= 6: uniform in +-s keeps variances about as He's does."""
    s = 4.0
    while s * s * fan_in > 6:
        s /= 2
    return s


def philox(seed, stream, index):
    """Philox4x32-10 for an array of indices below 2^32; four words each."""
    x = [np.asarray(index, np.uint64) & M32, np.asarray(index, np.uint64) >> np.uint64(32)]
    x += [np.full_like(x[0], stream & M32), np.full_like(x[0], stream >> 32)]
    k0, k1 = seed & M32, seed >> 32
    low, half = np.uint64(M32), np.uint64(32)
    for _ in range(10):
        p, q = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        x = [(q >> half) ^ x[1] ^ np.uint64(k0), q & low, (p >> half) ^ x[3] ^ np.uint64(k1), p & low]
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return np.stack(x, axis=-1)


def derive(seed, label):
    words = philox(seed, 0x6465726976650000, np.array([label]))[0]
    return int(words[1]) << 32 | int(words[0])


def dropout_mask(seed, node, shape, rate):
    """Of an NHWC tensor: element e is kept if word e % 4 of block e / 4, as a number in [0, 1), is at least the rate."""
    n = int(np.prod(shape))
    words = philox(derive(seed, node), 0, np.arange((n + 3) // 4)).reshape(-1)[:n]
    unit = (words >> np.uint64(8)).astype(np.float64) / 2 ** 24
    return torch.from_numpy(((unit >= rate) / (1 - rate)).reshape(shape))


# ---- the network, in the order of test_golden.c; tensors are NCHW here

class Net:
    """Holds the parameters by name; a forward pass counts the nodes as Facet's graph does."""

    def __init__(self, least=0.0):
        """least: distance from a kink below which the forward pass raises TooNear."""
        self.kernels, self.vectors, self.statistics, self.order = {}, {}, {}, []
        self.least, self.distance = least, float("inf")

    def parameter(self, kind, name, shape, scale, shift=0.0):
        table = getattr(self, kind)
        if name not in table:
            value = torch.from_numpy(shift + scale * numbers(name, int(np.prod(shape))).reshape(shape))
            table[name] = value.requires_grad_(kind != "statistics")
            if kind != "statistics":
                self.order.append(name)
        return table[name]

    def kernel(self, name, shape):
        return self.parameter("kernels", name + "/kernel", shape, spread(int(np.prod(shape[:-1]))))

    def vector(self, name, n):
        return self.parameter("vectors", name, (n,), 0.25)

    # Each of these is one node.
    def conv(self, x, name, filters, k, stride=(1, 1), dilation=(1, 1), groups=1, bias=False, same=True):
        self.node += 1
        w = self.kernel(name, (k[0], k[1], x.shape[1] // groups, filters)).permute(3, 2, 0, 1)
        b = self.vector(name + "/bias", filters) if bias else None
        x = pad_same(x, k, stride, dilation) if same else x
        return F.conv2d(x, w, b, stride, 0, dilation, groups)

    def norm(self, x, name, scale=False, center=True, unbiased=False):
        self.node += 1
        c, keep = x.shape[1], 0.875
        gamma = self.parameter("vectors", name + "/gamma", (c,), 0.25, 1.0) if scale else None
        beta = self.vector(name + "/beta", c) if center else None
        mean = self.parameter("statistics", name + "/moving_mean", (c,), 0.25)
        variance = self.parameter("statistics", name + "/moving_variance", (c,), 0.5, 1.0)
        if not self.training:
            return F.batch_norm(x, mean, variance, gamma, beta, False, 0, 1e-3)
        with torch.no_grad():
            mean.mul_(keep).add_((1 - keep) * x.mean((0, 2, 3)))
            variance.mul_(keep).add_((1 - keep) * x.var((0, 2, 3), unbiased=unbiased))
        return F.batch_norm(x, None, None, gamma, beta, True, 0, 1e-3)

    def dense(self, x, name, units, bias=True):
        self.node += 1
        y = x.flatten(1) @ self.kernel(name, (x.shape[1], units))
        y = y + self.vector(name + "/bias", units) if bias else y
        return y[:, :, None, None]

    def dropout(self, x, rate):
        self.node += 1
        self.dropouts.append(self.node - 1)
        if not self.training:
            return x
        n, c, h, w = x.shape
        return x * dropout_mask(self.seed, self.node - 1, (n, h, w, c), rate).permute(0, 3, 1, 2)

    def do(self, f, *inputs, **options):
        self.node += 1
        y = f(*inputs, **options)
        if self.training and f in KINKS:
            self.distance = min(self.distance, KINKS[f](inputs[0].detach(), y.detach()))
            if self.distance < self.least:
                raise TooNear
        return y

    def run(self, data, training, seed=0):
        self.node, self.training, self.seed, self.dropouts = 0, training, seed, []
        n, do = len(data["labels"]), self.do
        x = data["image"].permute(0, 3, 1, 2)
        x = do(F.relu, self.norm(self.conv(x, "stem", 12, (3, 3), (2, 2)), "stem_bn"))
        a = do(F.leaky_relu, self.conv(x, "a", 8, (1, 1), bias=True), negative_slope=0.125)
        b = do(F.relu, self.norm(self.conv(x, "b1", 16, (1, 1)), "b1_bn", scale=True))
        b = do(torch.tanh, self.norm(self.conv(b, "b2", 16, (1, 7)), "b2_bn"))
        b = do(F.relu, self.norm(self.conv(b, "b3", 16, (7, 1)), "b3_bn", scale=True, center=False, unbiased=True))
        c = do(torch.sigmoid, self.conv(x, "c", 24, (3, 3), groups=12, bias=True))
        d = do(F.relu, self.norm(self.conv(x, "d", 12, (3, 3), dilation=(2, 2), groups=3), "d_bn"))
        e = self.conv(do(avgpool_same, x, (3, 3), (1, 1)), "e", 16, (1, 1), bias=True)
        e = self.conv(self.conv(e, "e2", 16, (3, 3)), "e3", 16, (5, 5))
        f = do(maxpool_same, x, (3, 3), (1, 1))
        x = do(torch.cat, [a, b, c, d, e, f], dim=1)
        s = do(global_avgpool, x)
        s = do(F.relu, self.dense(s, "squeeze", 9))
        s = do(torch.sigmoid, self.dense(s, "excite", 88))
        x = do(torch.mul, x, s)
        side = x
        x = self.dropout(x, 0.25)
        r = do(F.relu, self.norm(self.conv(x, "r", 16, (3, 3), (2, 2), same=False), "r_bn"))
        m = do(F.max_pool2d, x, 3, 2)
        v = do(lambda t: F.avg_pool2d(F.pad(t, (0, 1, 1, 0)), 4, 2), x)
        x = do(torch.cat, [r, m, v], dim=1)
        x = do(torch.add, self.conv(x, "project", 16, (1, 1)), r)
        x = do(F.relu, self.norm(x, "project_bn"))
        logits = self.dense(self.dropout(do(global_avgpool, x), 0.5), "predictions", CLASSES)
        flat = do(torch.flatten, x.permute(0, 2, 3, 1), 1)[:, :, None, None]
        tags = self.dense(flat, "tags", TAGS)
        place = do(F.normalize, self.dense(flat, "embed", NUMBERS, bias=False), dim=1, eps=1e-12)
        shares = do(F.softmax, self.dense(do(global_avgpool, side), "shares", SHARES), dim=1)
        flat = [t.reshape(n, -1) for t in (logits, tags, place, shares)]
        known = data["tags"] >= 0
        return [
            F.cross_entropy(flat[0], data["labels"], data["class_weights"], ignore_index=-1, label_smoothing=0.125),
            F.binary_cross_entropy_with_logits(flat[1][known], data["tags"][known]),
            F.mse_loss(flat[2], data["numbers"]),
            F.huber_loss(flat[3], data["shares"], delta=0.5),
        ]


def padding_same(x, k, stride, dilation=(1, 1)):
    """TensorFlow's: the odd pixel goes after."""
    pads = []
    for axis in (1, 0):
        size, s = x.shape[2 + axis], stride[axis]
        total = max(0, (-(-size // s) - 1) * s + (k[axis] - 1) * dilation[axis] + 1 - size)
        pads += [total // 2, total - total // 2]
    return pads


def pad_same(x, k, stride, dilation=(1, 1), value=0.0):
    return F.pad(x, padding_same(x, k, stride, dilation), value=value)


def maxpool_same(x, k, stride):
    return F.max_pool2d(pad_same(x, k, stride, value=float("-inf")), k, stride)


def avgpool_same(x, k, stride):
    """Divides by the number of real pixels under each window."""
    real = F.avg_pool2d(pad_same(torch.ones_like(x), k, stride), k, stride)
    return F.avg_pool2d(pad_same(x, k, stride), k, stride) / real


class TooNear(Exception):
    pass


def distance_of_relu(x, y):
    """From the kink, in the input's root mean square; the exact zeros of another ReLU stay zero in float."""
    return (x[x != 0].abs().min() / x.square().mean().sqrt()).item()


def distance_of_maxpool(x, y, padded=None, stride=2):
    """The least positive distance of a window's maximum from its other pixels."""
    windows = (x if padded is None else padded).unfold(2, 3, stride).unfold(3, 3, stride)
    gaps = y[..., None, None] - windows
    return (gaps[(gaps > 0) & gaps.isfinite()].min() / x.square().mean().sqrt()).item()


def distance_of_maxpool_same(x, y):
    return distance_of_maxpool(x, y, pad_same(x, (3, 3), (1, 1), value=float("-inf")), 1)


def global_avgpool(x):
    return x.mean((2, 3), keepdim=True)


KINKS = {F.relu: distance_of_relu, F.leaky_relu: distance_of_relu, F.max_pool2d: distance_of_maxpool,
         maxpool_same: distance_of_maxpool_same}


def batch(t):
    """The samples of step t: four batches by turns; every seventh step takes the first samples of one only."""
    n, t = 5 if t % 7 == 6 else BATCH, t % 4
    tagged = choices(f"tags/{t}", n * TAGS, 3).reshape(n, TAGS) - 1.0
    return {
        "image": torch.from_numpy(numbers(f"image/{t}", n * H * W * C).reshape(n, H, W, C)),
        "labels": torch.from_numpy(choices(f"labels/{t}", n, CLASSES + 1) - 1),
        "tags": torch.from_numpy(tagged),
        "numbers": torch.from_numpy(numbers(f"numbers/{t}", n * NUMBERS).reshape(n, NUMBERS)),
        "shares": torch.from_numpy(numbers(f"shares/{t}", n * SHARES).reshape(n, SHARES)),
        "class_weights": torch.from_numpy(1 + 0.5 * numbers("class_weights", CLASSES)),
    }


# ---- training

class RmspropTf:
    """ms = rho ms + (1 - rho) g^2; mom = mu mom + lr g / sqrt(ms + eps); w -= mom; ms starts at one."""

    def __init__(self, groups, lr, rho, momentum, eps):
        self.groups, self.lr, self.rho, self.momentum, self.eps = groups, lr, rho, momentum, eps
        self.state = {p: (torch.ones_like(p), torch.zeros_like(p)) for group in groups for p in group["params"]}

    def zero_grad(self):
        for p in self.state:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for group in self.groups:
            for p in group["params"]:
                g = p.grad + group["weight_decay"] * p
                ms, mom = self.state[p]
                ms.mul_(self.rho).add_((1 - self.rho) * g * g)
                mom.mul_(self.momentum).add_(self.lr * g / (ms + self.eps).sqrt())
                p.sub_(mom)


OPTIMIZERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9),
    "rmsprop_tf": lambda groups: RmspropTf(groups, lr=0.045, rho=0.9, momentum=0.9, eps=1.0),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.002, betas=(0.9, 0.999), eps=1e-7),
}
DECAY = {"sgd": 1e-3, "rmsprop_tf": 1e-3, "adamw": 0.05}


def train(name, least=0.0):
    net = Net(least)
    with torch.no_grad():
        net.run(batch(0), training=True, seed=0)  # makes the parameters
    net.statistics.clear()
    groups = [{"params": list(net.kernels.values()), "weight_decay": DECAY[name]},
              {"params": list(net.vectors.values()), "weight_decay": 0.0}]
    optimizer = OPTIMIZERS[name](groups)
    rows, first = [], None
    for t in range(STEPS):
        losses = net.run(batch(t), training=True, seed=1000 + t)
        optimizer.zero_grad()
        sum(w * loss for w, loss in zip(WEIGHTS, losses)).backward()
        parameters = {**net.kernels, **net.vectors}
        first = first or [(p, parameters[p].grad.numpy().copy().reshape(-1)) for p in net.order]
        optimizer.step()
        rows.append([loss.item() for loss in losses])
    with torch.no_grad():
        rows.append([loss.item() for loss in net.run(batch(0), training=False)])
    statistics = [(k, v.norm().item()) for k, v in net.statistics.items()]
    return rows, statistics, first, net


def search(n):
    global KEY
    best = 0.0
    for k in range(n):
        KEY = f"{k}/"
        try:
            best = min(train(name, best)[3].distance for name in OPTIMIZERS)
            print(f"{KEY} {best:.3g}", flush=True)
        except TooNear:
            pass


def main():
    lines = [f"steps {STEPS} losses {len(LOSSES)} optimizers {len(OPTIMIZERS)}"]
    for name in OPTIMIZERS:
        rows, statistics, first, net = train(name)
        lines.append(f"{name} statistics {len(statistics)}")
        lines += [" ".join(f"{x:.17g}" for x in row) for row in rows]
        lines += [f"{k} {v:.17g}" for k, v in statistics]
    lines.append(f"parameters {len(first)} nodes {net.node} dropout {' '.join(map(str, net.dropouts))}")
    at = 0
    for k, g in first:
        lines.append(f"{k} {at} {g.size}")
        at += g.size
    binary = np.concatenate([g for _, g in first]).astype("<f8").tobytes()
    with open("mini_inception.bin", "wb") as f:
        f.write(binary)
    with open("mini_inception.txt", "w") as f:
        f.write("\n".join(lines) + "\n")
    for file in ("mini_inception.txt", "mini_inception.bin"):
        with open(file, "rb") as f:
            print(hashlib.sha256(f.read()).hexdigest(), file)


if __name__ == "__main__":
    search(int(sys.argv[2])) if sys.argv[1:2] == ["--search"] else main()
