#!/usr/bin/python3
"""round_trip.py MODELS: state files go to PyTorch and back. MODELS is the program of models.cpp.

PyTorch loads the states that the library has saved and must compute the same outputs, and the other way round. The largest difference is
printed for each model. Status: 0 if all are below 1e-6, 1 if not, 77 (skipped) without PyTorch (Debian: python3-torch).
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import torch
except ImportError:
    print("skipped: no PyTorch")
    sys.exit(77)

LARGEST = 1e-6
DTYPES = {"F32": torch.float32, "I64": torch.int64}


def read(path):
    """The tensors of a safetensors file: the header's length, the header, the elements."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        elements = bytearray(data[8 + length + begin : 8 + length + end])
        tensors[name] = torch.frombuffer(elements, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def write(path, tensors):
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, elements = {}, b""
    for name, tensor in tensors.items():
        begin = len(elements)
        elements += tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, len(elements)]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + elements)


class Lstm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(7, 9, num_layers=2, bidirectional=True)
        self.head = torch.nn.Linear(18, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0])


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.TransformerEncoderLayer(12, 3, dim_feedforward=20, activation="gelu")

    def forward(self, x):
        return self.encoder(x)


def cnn():
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 4, (3, 1), stride=(1, 2), groups=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16, 5))  # fmt: skip


MODELS = {"cnn": (cnn, (3, 2, 8, 8)), "lstm": (Lstm, (6, 3, 7)), "encoder": (Encoder, (5, 2, 12))}


def main(program):
    worst = 0.0

    def compare(what, difference):
        nonlocal worst
        worst = max(worst, difference)
        print(f"{what}: largest difference {difference:.3g}")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, "write", folder], check=True)
        for model_name, (make, _) in MODELS.items():
            model = make()
            model.load_state_dict(read(folder / f"{model_name}.safetensors"), strict=True)
            model.eval()
            run = read(folder / f"{model_name}-run.safetensors")
            with torch.no_grad():
                compare(f"{model_name}, from the library to PyTorch", (model(run["x"]) - run["y"]).abs().max().item())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        torch.manual_seed(5)
        for model_name, (make, shape) in MODELS.items():
            model, x = make(), torch.randn(shape)
            model.train()
            model(2 * x + 0.5)
            model.eval()
            write(folder / f"{model_name}.safetensors", model.state_dict())
            with torch.no_grad():
                write(folder / f"{model_name}-run.safetensors", {"x": x, "y": model(x)})
        checked = subprocess.run([program, "check", folder], check=True, capture_output=True, text=True).stdout
        for line in checked.splitlines():
            model_name, difference = line.split()
            compare(f"{model_name}, from PyTorch to the library", float(difference))
    return 0 if worst <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
