#!/usr/bin/env python3
"""Makes resize_golden.bin: what Pillow, OpenCV and PyTorch make of small test images.

Usage: resize_golden.py OUT.bin      (made with Pillow 9.4.0, OpenCV 4.6.0, PyTorch 1.13.0)

Method tf is taken from torch.nn.functional.interpolate(mode="bilinear", align_corners=False, antialias=False),
which has tf.image.resize's definition (half-pixel centres, edges repeated), in float64, rounded half up; tf_antialias likewise with antialias=True, tf_nearest from mode="nearest-exact" in float32.

A record, little-endian:
  uint8 method (0 pil, 1 pil_bicubic, 2 tf, 3 opencv, 4 tf_antialias, 5 tf_nearest, 6 opencv_area), uint8 channels, uint8 hashed, uint8 0,
  uint16 src_w, src_h, dst_w, dst_h, float32 box[4],
  then the pixels (dst_h, dst_w, channels), or their FNV-1a hash in 8 bytes when hashed.
The source of record i is source(i, w, h, c) below.
"""
import struct
import sys

import cv2
import numpy as np
import torch
from PIL import Image


def source(seed, w, h, c):
    """Half noise, half ramp, by a linear congruential generator."""
    s = seed + 1
    out = np.empty(h * w * c, np.uint8)
    for i in range(out.size):
        s = (1664525 * s + 1013904223) % 2**32
        out[i] = (s >> 25) + ((i // c) % w * 127 // w)
    return out.reshape(h, w, c)


def pil(image, box, w, h, how):
    flat = image if image.shape[2] == 3 else image[:, :, 0]
    out = np.asarray(Image.fromarray(flat).resize((w, h), how, box=box))
    return out.reshape(h, w, image.shape[2])


def cropped(image, box):
    x0, y0, x1, y1 = (int(v) for v in box)
    return image[y0:y1, x0:x1]


def tf(image, box, w, h):
    x = torch.from_numpy(cropped(image, box).astype(np.float64).transpose(2, 0, 1)[None].copy())
    y = torch.nn.functional.interpolate(x, (h, w), mode="bilinear", align_corners=False, antialias=False)
    return np.floor(y[0].numpy().transpose(1, 2, 0) + 0.5).astype(np.uint8)


def opencv(image, box, w, h):
    return cv2.resize(cropped(image, box).copy(), (w, h), interpolation=cv2.INTER_LINEAR).reshape(h, w, -1)


def tf_antialias(image, box, w, h):
    x = torch.from_numpy(cropped(image, box).astype(np.float64).transpose(2, 0, 1)[None].copy())
    y = torch.nn.functional.interpolate(x, (h, w), mode="bilinear", align_corners=False, antialias=True)
    return np.floor(y[0].numpy().transpose(1, 2, 0) + 0.5).astype(np.uint8)


def tf_nearest(image, box, w, h):
    x = torch.from_numpy(cropped(image, box).astype(np.float32).transpose(2, 0, 1)[None].copy())
    return torch.nn.functional.interpolate(x, (h, w), mode="nearest-exact")[0].numpy().transpose(1, 2, 0).astype(np.uint8)


def opencv_area(image, box, w, h):
    return cv2.resize(cropped(image, box).copy(), (w, h), interpolation=cv2.INTER_AREA).reshape(h, w, -1)


METHODS = [
    lambda i, b, w, h: pil(i, b, w, h, Image.Resampling.BILINEAR),
    lambda i, b, w, h: pil(i, b, w, h, Image.Resampling.BICUBIC),
    tf,
    opencv,
    tf_antialias,
    tf_nearest,
    opencv_area,
]
# src_w, src_h, channels, dst_w, dst_h, box, methods
WHOLE = None
CASES = [
    (7, 5, 3, 12, 11, WHOLE, (0, 1, 2, 3)),
    (23, 17, 3, 9, 6, WHOLE, (0, 1, 2, 3)),
    (19, 30, 1, 8, 21, WHOLE, (0, 1, 2, 3)),
    (12, 9, 1, 12, 15, WHOLE, (0, 1, 2, 3)),
    (12, 9, 3, 5, 9, WHOLE, (0, 1, 2, 3)),
    (1, 1, 3, 4, 3, WHOLE, (0, 1, 2, 3)),
    (16, 12, 3, 8, 6, WHOLE, (0, 1, 2, 3)),
    (20, 16, 3, 10, 13, (3, 2, 17, 11), (0, 1, 2, 3)),
    (20, 16, 3, 9, 7, (2.25, 1.5, 18.75, 12.125), (0, 1)),
    (20, 16, 1, 20, 16, (0.5, 0, 19.5, 16), (0, 1)),
]
LARGE = [
    (250, 250, 3, 299, 299, WHOLE, (0, 1)),
    (640, 480, 3, 299, 299, WHOLE, (0, 1)),
    (333, 251, 1, 96, 80, (10.5, 7.25, 300.125, 240.75), (0, 1)),
]
# Methods that came later: records after all others, whose numbers, and so sources, stay.
LATER = [case[:6] + ((4, 5, 6),) for case in CASES[:8]] + [(250, 250, 1, 40, 32, WHOLE, (4, 5, 6)), (16, 12, 3, 4, 24, WHOLE, (4, 5, 6))]


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 % 2**64
    return h


def main(path):
    n = 0
    with open(path, "wb") as out:
        for hashed, cases in ((0, CASES), (1, LARGE), (0, LATER)):
            for sw, sh, c, dw, dh, box, methods in cases:
                box = box or (0, 0, sw, sh)
                for m in methods:
                    y = METHODS[m](source(n, sw, sh, c), box, dw, dh)
                    out.write(struct.pack("<BBBB4H4f", m, c, hashed, 0, sw, sh, dw, dh, *box))
                    out.write(struct.pack("<Q", fnv(y.tobytes())) if hashed else y.tobytes())
                    n += 1


main(sys.argv[1])
