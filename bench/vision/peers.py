"""Times of ONNX Runtime and OpenVINO on a network of torchvision, FP32 and static int8 (ONNX Runtime's QDQ file, which both run).

    python peers.py make NAME DIR      # NAME.onnx, NAME.int8.onnx: random weights, 224 x 224, calibrated on noise
    python peers.py run FILE ort|ov    # two threads, batch 1, 3 seconds

One run at a time, in turns with bench/vision --speed. Needs torch, torchvision, onnx, onnxruntime, openvino.
"""
import sys, time
import numpy as np


def make(name, folder):
    import torch, torchvision
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Noise(CalibrationDataReader):
        def __init__(self):
            self.left = 2

        def get_next(self):
            self.left -= 1
            return {"x": np.random.randn(1, 3, 224, 224).astype(np.float32)} if self.left >= 0 else None

    m = getattr(torchvision.models, name)(weights=None).eval()
    path = f"{folder}/{name}"
    with torch.no_grad():
        torch.onnx.export(m, (torch.randn(1, 3, 224, 224),), path + ".raw.onnx", dynamo=False, opset_version=17, input_names=["x"])
    quant_pre_process(path + ".raw.onnx", path + ".onnx")
    quantize_static(path + ".onnx", path + ".int8.onnx", Noise(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def run(file, kind):
    x = np.random.randn(1, 3, 224, 224).astype(np.float32)
    if kind == "ort":
        import onnxruntime
        opt = onnxruntime.SessionOptions()
        opt.intra_op_num_threads = 2
        s = onnxruntime.InferenceSession(file, opt)
        one = lambda: s.run(None, {"x": x})
    else:
        import openvino
        r = openvino.Core().compile_model(file, "CPU", {"INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
        one = lambda: r.infer([x])
    for _ in range(3):
        one()
    times, end = [], time.time() + 3
    while time.time() < end:
        t = time.perf_counter()
        one()
        times.append(1e3 * (time.perf_counter() - t))
    times.sort()
    print(f"{file} {kind}: {len(times)} passes, median {times[len(times) // 2]:.2f} ms, best {times[0]:.2f} ms")


{"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
