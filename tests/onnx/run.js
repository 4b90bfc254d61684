// run.js RUNTIME FOLDER: runs each NAME.onnx of the folder in onnxruntime, on the inputs of NAME-0.safetensors and NAME-1.safetensors, and
// prints {NAME: the largest difference from the outputs there, relative to the largest of them or to 1}.
const fs = require("fs");
const path = require("path");

const [runtime, folder] = process.argv.slice(2);
const ort = require(path.join(runtime, "node_modules/onnxruntime-node"));

const ARRAYS = { F32: ["float32", Float32Array], F64: ["float64", Float64Array], I64: ["int64", BigInt64Array] };

function read(file) {
  const data = fs.readFileSync(file);
  const length = Number(data.readBigUInt64LE(0));
  const tensors = {};
  for (const [name, entry] of Object.entries(JSON.parse(data.subarray(8, 8 + length).toString()))) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets;
    const [type, Array] = ARRAYS[entry.dtype];
    const bytes = new Uint8Array(data.subarray(8 + length + begin, 8 + length + end));
    tensors[name] = new ort.Tensor(type, new Array(bytes.buffer), entry.shape);
  }
  return tensors;
}

function difference(a, b) {
  if (!b || a.dims.join() !== b.dims.join() || a.type !== b.type) return Infinity;
  let largest = 0;
  let scale = 1;
  for (let i = 0; i < a.data.length; ++i) {
    const d = Math.abs(a.data[i] - b.data[i]);
    largest = d >= 0 ? Math.max(largest, d) : Infinity; // NaN
    scale = Math.max(scale, Math.abs(a.data[i]));
  }
  return largest / scale;
}

async function main() {
  const found = {};
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".onnx")).sort()) {
    const name = path.basename(file, ".onnx");
    const session = await ort.InferenceSession.create(path.join(folder, file));
    found[name] = 0;
    for (const k of [0, 1]) {
      const { input, ...expected } = read(path.join(folder, `${name}-${k}.safetensors`));
      const outputs = await session.run({ input });
      for (const output of Object.keys(expected))
        found[name] = Math.max(found[name], difference(expected[output], outputs[output]));
    }
  }
  console.log(JSON.stringify(found, (_, value) => (Number.isFinite(value) || typeof value !== "number" ? value : 1e300)));
}

main();
