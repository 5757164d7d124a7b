"""Makes torch_*.pth: small files of PyTorch's (written with 1.13) for tests/test_weight_torch.c, which knows their numbers.

Run in this folder: python3 make_torch_weights.py

torch_state.pth: a state dict with tensors of all types, views that share a storage, a parameter.
torch_checkpoint.pth: a training checkpoint around a state dict of DataParallel, in pickle protocol 4.
torch_module.pth: a whole module.
torch_malicious.pth: a state dict whose pickle calls os.system when Python loads it.
"""
import collections
import os

import torch


class Malicious:
    def __reduce__(self):
        return os.system, ("touch facet_was_here",)


def state():
    matrix = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8 - 0.5
    return collections.OrderedDict([
        ("conv.weight", torch.arange(12, dtype=torch.float32).reshape(2, 3, 1, 2)),
        ("conv.channels_last", torch.arange(16.0).reshape(1, 4, 2, 2).to(memory_format=torch.channels_last)),
        ("matrix", matrix),
        ("turned", matrix.t()),
        ("part", matrix[1:, ::2]),
        ("half", torch.tensor([0.5, -2, 2.0**-24, 65504, float("inf"), -0.0], dtype=torch.float16)),
        ("bfloat16", torch.tensor([0.5, -2, 2.0**-130, 2.0**100], dtype=torch.bfloat16)),
        ("double", torch.tensor([1 / 3, -1e-3], dtype=torch.float64)),
        ("bn.num_batches_tracked", torch.tensor(7)),
        ("int32", torch.tensor([-70000, 70000], dtype=torch.int32)),
        ("int16", torch.tensor([-300, 300], dtype=torch.int16)),
        ("int8", torch.tensor([-3, 3], dtype=torch.int8)),
        ("uint8", torch.tensor([0, 200], dtype=torch.uint8)),
        ("bool", torch.tensor([True, False])),
        ("parameter", torch.nn.Parameter(torch.tensor([1.5, 2.5]))),
        ("repeated", torch.tensor([4.0]).expand(3)),
        ("empty", torch.zeros(0, 3)),
    ])


def main():
    plain = state()
    plain._metadata = collections.OrderedDict({"": {"version": 1}})  # as module.state_dict() has it
    torch.save(plain, "torch_state.pth")
    model = torch.nn.Sequential(torch.nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[3.0, 4.0]])
        model[0].bias[:] = 5
    wrapped = collections.OrderedDict(("module." + k, v) for k, v in model.state_dict().items())
    torch.save({"epoch": 3, "lr": 0.1, "best": None, "done": [True, 2**70, b"x", (1, 300, -70000)], "state_dict": wrapped,
                "optimizer": torch.optim.SGD(model.parameters(), 0.1).state_dict()},
               "torch_checkpoint.pth", pickle_protocol=4)
    torch.save(model, "torch_module.pth")
    torch.save({"weight": torch.zeros(2), "bias": Malicious()}, "torch_malicious.pth")


if __name__ == "__main__":
    main()
