#!/usr/bin/python3
"""Inception-v3 as torchvision has it, with random weights: what it computes, for tests/test_torchvision.c.

    make_torchvision.py FOLDER

writes into FOLDER state dicts: weights.pth (of the model), images.pth (x, labels), results.pth (logits in eval mode; both losses'
weighted sum in train mode), gradients.pth (of every parameter, by its name) and after.pth (the model's after the forward pass in
train mode, with moved statistics). Everything is computed in float64, and all of it is in exact.bin as well, float64 numbers one
after the other as the lines of exact.txt say: kind, name, dimensions. Needs PyTorch and torchvision.
"""
import sys

import torch
import torchvision

BATCH, CLASSES, AUX_WEIGHT = 4, 10, 0.4


def make_model():
    torch.manual_seed(7)
    model = torchvision.models.inception_v3(num_classes=CLASSES, aux_logits=True, transform_input=False, init_weights=False)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    torch.nn.functional.dropout = lambda x, *args, **kwargs: x  # releases before 0.10 call it
    return model


def main(folder):
    model = make_model()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save(weights, folder + "/weights.pth")
    x = torch.randn(BATCH, 3, 299, 299) * 0.5
    labels = torch.arange(BATCH) * 3 % CLASSES
    torch.save({"x": x, "labels": labels}, folder + "/images.pth")
    model = model.double()
    x = x.double()
    with torch.no_grad():
        logits = model.eval()(x)
    out = model.train()(x)
    loss = torch.nn.functional.cross_entropy
    total = loss(out.logits, labels) + AUX_WEIGHT * loss(out.aux_logits, labels)
    total.backward()
    results = {"logits": logits, "loss": total.detach().reshape(1)}
    gradients = {name: p.grad for name, p in model.named_parameters()}
    torch.save(results, folder + "/results.pth")
    torch.save(gradients, folder + "/gradients.pth")
    torch.save(model.state_dict(), folder + "/after.pth")
    with open(folder + "/exact.txt", "w") as lines, open(folder + "/exact.bin", "wb") as numbers:
        for kind, tensors in (("weight", weights), ("result", {"x": x, "labels": labels, **results}), ("gradient", gradients),
                              ("after", model.state_dict())):
            for name, tensor in tensors.items():
                print(kind, name, *tensor.shape, file=lines)
                numbers.write(tensor.double().numpy().tobytes())


main(sys.argv[1])
