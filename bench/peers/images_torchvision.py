#!/usr/bin/python3
"""Reads images as torchvision users do, Pillow decoding, on one thread: RandomResizedCrop, RandomHorizontalFlip, ToTensor, Normalize.
Prints one JSON object, its keys named as ft-bench images's.

    images_torchvision.py FOLDER [--size 299] [--seconds 3]

FOLDER holds class folders. Runs with Debian's python3-torch, python3-torchvision and python3-pil.
"""
import argparse
import json
import random
import time

import torch
import torchvision
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder")
parser.add_argument("--size", type=int, default=299)
parser.add_argument("--seconds", type=float, default=3)
options = parser.parse_args()

torch.set_num_threads(1)
steps = [
    torchvision.transforms.RandomResizedCrop(options.size, scale=(0.05, 1)),
    torchvision.transforms.RandomHorizontalFlip(),
    torchvision.transforms.ToTensor(),
    torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
]
transform = torchvision.transforms.Compose(steps)
files = [path for path, _ in torchvision.datasets.ImageFolder(options.folder).samples]


def read_all():
    random.shuffle(files)
    for path in files:
        with open(path, "rb") as file:
            transform(Image.open(file).convert("RGB"))
    return len(files)


read_all()
images, start = 0, time.perf_counter()
while time.perf_counter() - start < options.seconds:
    images += read_all()
seconds = time.perf_counter() - start
print(json.dumps({"size": options.size, "images": images, "seconds": seconds, "images_per_second": images / seconds}))
