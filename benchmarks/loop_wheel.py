"""One launch of the `ncnn` wheel for `benchmarks.loop`, in a process that has nothing else in it.

`python loop_wheel.py GRAPH WEIGHTS CxHxW WARMUP COUNT`: a JSON line an inference, and before them one with its version.
"""

import json
import sys
import time

import ncnn
import numpy as np


def main(graph: str, weights: str, shape: str, warmup: str, count: str) -> None:
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_int8_inference"):
        setattr(net.opt, half, False)
    if net.load_param(graph) or net.load_model(weights):
        sys.exit("the wheel does not load the network")
    array = np.full([int(n) for n in shape.split("x")], 0.01, np.float32)
    values = ncnn.Mat(array).clone()  # the first Mat has only borrowed its memory, so `array` must live until here
    times = []
    for number in range(-int(warmup), int(count)):
        before = time.perf_counter_ns()
        extractor = net.create_extractor()
        extractor.input("in0", values)
        status, _ = extractor.extract("out0")
        after = time.perf_counter_ns()
        if status:
            sys.exit("the wheel does not compute the network")
        if number >= 0:
            times.append(after - before)
    sys.stdout.write(json.dumps({"version": ncnn.__version__}) + "\n")
    sys.stdout.writelines(json.dumps({"ns": ns}) + "\n" for ns in times)


if __name__ == "__main__":
    main(*sys.argv[1:])
