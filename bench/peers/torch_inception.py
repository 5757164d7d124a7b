"""Times torchvision's Inception-v3 on the processor, in the format PyTorch is fastest in (channels last), or
writes it as an ONNX file for other programs. Prints one JSON object, its keys named as ft-bench model's.

Runs with Debian's python3-torch and python3-torchvision: /usr/bin/python3 torch_inception.py --help
"""
import argparse
import json
import resource
import time

import torch
import torchvision


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--infer", action="store_true", help="forward alone; else with backward and SGD with momentum")
    parser.add_argument("--bf16", action="store_true", help="under autocast to bfloat16")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="timed steps, after one that is not counted")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as PyTorch likes")
    parser.add_argument("--onnx", metavar="FILE", help="writes the network for this batch to FILE and ends")
    return parser.parse_args()


def build():
    torch.manual_seed(1)
    return torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)


def export(net, options):
    images = torch.randn(options.batch, 3, 299, 299)
    torch.onnx.export(net.eval(), images, options.onnx, opset_version=13, input_names=["images"], output_names=["logits"])


def make_step(net, options):
    """A function that runs one step."""
    images = torch.randn(options.batch, 3, 299, 299).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (options.batch,))
    net = net.to(memory_format=torch.channels_last)

    def forward():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            return net(images)

    if options.infer:
        net.eval()
        return torch.no_grad()(forward)
    net.train()
    sgd = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def train():
        sgd.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(forward().float(), labels).backward()
        sgd.step()

    return train


def best_seconds(step, steps):
    step()
    best = float("inf")
    for _ in range(steps):
        start = time.monotonic()
        step()
        best = min(best, time.monotonic() - start)
    return best


def main():
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    net = build()
    if options.onnx:
        return export(net, options)
    speed = options.batch / best_seconds(make_step(net, options), options.steps)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6
    print(json.dumps({"version": f"PyTorch {torch.__version__}", "mode": "infer" if options.infer else "train",
                      "batch": options.batch, "threads": torch.get_num_threads(),
                      "images_per_second_best": round(speed, 4), "max_rss_mb": round(rss, 1)}))


main()
