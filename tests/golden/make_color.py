#!/usr/bin/python3
"""Changes of colour as torchvision and TensorFlow define them, for tests/test_color.c. Prints the C initialisers.

torchvision's own functions for its operations; TensorFlow's (tf.image.adjust_*) written out with Python's colorsys. Needs
PyTorch and torchvision.
"""
import colorsys

import numpy as np
import torch
import torchvision.transforms.functional as F

rng = np.random.RandomState(3)
image = np.round(rng.rand(6, 3), 3)
image[4] = image[4][0]  # grey
image[5] = [0, 0, 0]


def torch_op(f, by):
    x = torch.tensor(image.T.reshape(3, 1, 6), dtype=torch.float64)
    return f(x, by).numpy().reshape(3, 6).T


def hsv(change):
    out = []
    for r, g, b in image:
        h, s, v = change(*colorsys.rgb_to_hsv(r, g, b))
        out.append(colorsys.hsv_to_rgb(h % 1.0, min(max(s, 0.0), 1.0), v))
    return np.array(out)


def show(name, by, values):
    print("    {%s, %.2ff, {%s}}," % (name, by, ", ".join("%.6ff" % v for v in np.clip(values, 0, 1).ravel())))


print("image: {%s}" % ", ".join("%.3ff" % v for v in image.ravel()))
show("FT_COLOR_ADD", -0.1, image - 0.1)
mean = image.mean(axis=0)
show("FT_COLOR_CHANNEL_CONTRAST", 1.4, mean + 1.4 * (image - mean))
show("FT_COLOR_HSV_SATURATION", 1.5, hsv(lambda h, s, v: (h, s * 1.5, v)))
show("FT_COLOR_HSV_SATURATION", 0.5, hsv(lambda h, s, v: (h, s * 0.5, v)))
show("FT_COLOR_TURN_HUE", 0.2, hsv(lambda h, s, v: (h + 0.2, s, v)))
show("FT_COLOR_TURN_HUE", -0.35, torch_op(F.adjust_hue, -0.35))
show("FT_COLOR_SCALE", 1.3, torch_op(F.adjust_brightness, 1.3))
show("FT_COLOR_GREY_CONTRAST", 0.6, torch_op(F.adjust_contrast, 0.6))
show("FT_COLOR_GREY_CONTRAST", 1.7, torch_op(F.adjust_contrast, 1.7))
show("FT_COLOR_GREY_SATURATION", 0.3, torch_op(F.adjust_saturation, 0.3))
show("FT_COLOR_GREY_SATURATION", 1.8, torch_op(F.adjust_saturation, 1.8))
