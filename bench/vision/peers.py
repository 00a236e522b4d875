"""Networks of torchvision here and in ONNX Runtime and OpenVINO, FP32 and static int8: how long a pass takes.

    python peers.py make DIR QCONV [NAME ..]       # NAME.f32.qpt, NAME.s8s8.qpt, NAME.onnx, NAME.int8.onnx
    python peers.py table DIR VISION [NAME ..]     # bench/vision, built; medians of rounds in turns

Weights are random, batch norms know the statistics of noise, pictures are 224 x 224. Both peers run the same int8 file, ONNX Runtime's QDQ. All have two
threads; OpenVINO computes floats in float32, which is not its default on every machine, and both know the batch when they compile.
SECONDS_EACH (0.5) is how long each is measured in a round, ROUNDS (3), BATCH (1,8). Needs torch, torchvision, onnx, onnxruntime, openvino, safetensors.
"""
import os, statistics, subprocess, sys, time
import numpy as np

NETS = ["resnet50", "mobilenet_v2", "efficientnet_b0", "squeezenet1_1", "googlenet", "regnet_y_400mf"]
SECONDS, ROUNDS = float(os.environ.get("SECONDS_EACH", 0.5)), int(os.environ.get("ROUNDS", 3))
BATCH = [int(b) for b in os.environ.get("BATCH", "1,8").split(",")]


def make(folder, qconv, *names):
    import torch, torchvision
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from safetensors.torch import save_file

    torch.manual_seed(1)
    torch.set_num_threads(1)
    pictures = torch.randn(4, 3, 224, 224)

    class Noise(CalibrationDataReader):
        def __init__(self):
            self.rows = iter(pictures.split(2))

        def get_next(self):
            x = next(self.rows, None)
            return x if x is None else {"x": x.numpy()}

    os.makedirs(folder, exist_ok=True)
    save_file({"input.0": pictures}, f"{folder}/calib.safetensors")
    for name in names or NETS:
        m = getattr(torchvision.models, name)(weights=None, **({"aux_logits": False, "init_weights": True} if name == "googlenet" else {}))
        for b in m.modules():
            if isinstance(b, torch.nn.BatchNorm2d):
                b.momentum = None
        with torch.no_grad():
            m.train()(pictures)
            m.eval()
            path = f"{folder}/{name}"
            torch.onnx.export(m, (pictures[:2],), path + ".raw.onnx", dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "b"}})
            program = torch.export.export(m, (pictures[:2],), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=64)},))
        torch.export.save(program, path + ".pt2")
        quant_pre_process(path + ".raw.onnx", path + ".onnx")
        quantize_static(path + ".onnx", path + ".int8.onnx", Noise(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        os.remove(path + ".raw.onnx")
        for scheme in "f32", "s8s8":
            with open(f"{path}.{scheme}.log", "w") as log:
                subprocess.run([qconv, "--in", path + ".pt2", "--out", f"{path}.{scheme}.qpt", "--scheme", scheme, *(["--calib", f"{folder}/calib.safetensors"] if scheme == "s8s8" else [])], check=True, stdout=log, stderr=log)
        print(name, "made", flush=True)


def ort(file, x):
    import onnxruntime

    opt = onnxruntime.SessionOptions()
    opt.intra_op_num_threads = 2
    opt.add_free_dimension_override_by_name("b", len(x))
    s = onnxruntime.InferenceSession(file, opt)
    return lambda: s.run(None, {"x": x})


def openvino(file, x):
    import openvino

    core = openvino.Core()
    m = core.read_model(file)
    m.reshape(x.shape)
    r = core.compile_model(m, "CPU", {"INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return lambda: r.infer([x])


def median(one):
    one()
    times, end = [], time.time() + SECONDS
    while time.time() < end or len(times) < 3:
        t = time.perf_counter()
        one()
        times.append(1e3 * (time.perf_counter() - t))
    time.sleep(0.05)  # for threads that still look for work
    return statistics.median(times)


def table(folder, vision, *names):
    def ours(file, batch):
        out = subprocess.run([vision, "--speed", f"{SECONDS}s", "--batch", str(batch), file], check=True, capture_output=True, text=True).stdout
        return float(out.split("median ")[1].split()[0])

    print("| network, batch | qpt int8 | ONNX Runtime int8 | OpenVINO int8 | best peer / qpt | qpt f32 | ONNX Runtime f32 | OpenVINO f32 | best peer / qpt | f32 / int8 |\n|" + "---|" * 10)
    gains = {b: [] for b in BATCH}
    for name in names or NETS:
        path = f"{folder}/{name}"
        for batch in BATCH:
            x = np.random.default_rng(1).standard_normal((batch, 3, 224, 224), np.float32)
            runs = [lambda: ours(path + ".s8s8.qpt", batch)]
            runs += [lambda one=one: median(one) for one in (ort(path + ".int8.onnx", x), openvino(path + ".int8.onnx", x))]
            runs += [lambda: ours(path + ".f32.qpt", batch)]
            runs += [lambda one=one: median(one) for one in (ort(path + ".onnx", x), openvino(path + ".onnx", x))]
            t = [statistics.median(v) for v in zip(*[[run() for run in runs] for _ in range(ROUNDS)])]
            gains[batch].append(t[3] / t[0])
            print(f"| {name}, {batch} | " + " | ".join([f"{v:.2f}" for v in t[:3]] + [f"{min(t[1:3]) / t[0]:.2f}"] + [f"{v:.2f}" for v in t[3:]] + [f"{min(t[4:]) / t[3]:.2f}", f"{t[3] / t[0]:.2f}"]) + " |", flush=True)
    for batch, list in gains.items():
        print(f"\nf32 / int8, geometric mean at batch {batch}: {statistics.geometric_mean(list):.2f}", end="")
    print()


{"make": make, "table": table}[sys.argv[1]](*sys.argv[2:])
