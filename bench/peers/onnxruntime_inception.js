// Times ONNX Runtime on an ONNX file of Inception-v3 (made by torch_inception.py --onnx for one batch size).
// Prints one JSON object, its keys named as ft-bench model's.
//
//   node onnxruntime_inception.js FOLDER FILE.onnx BATCH STEPS THREADS
//
// FOLDER is where `npm install --ignore-scripts onnxruntime-node` was run.
'use strict';
const fs = require('fs');
const path = require('path');

const [folder, file, ...numbers] = process.argv.slice(2);
const [batch, steps, threads] = numbers.map(Number);
const home = path.resolve(folder, 'node_modules', 'onnxruntime-node');
const ort = require(home);
const { version } = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'));

async function secondsOf(session, feeds) {
  const start = process.hrtime.bigint();
  await session.run(feeds);
  return Number(process.hrtime.bigint() - start) * 1e-9;
}

async function main() {
  const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: 'all', intraOpNumThreads: threads });
  const pixels = Float32Array.from({ length: batch * 3 * 299 * 299 }, () => 2 * Math.random() - 1);
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', pixels, [batch, 3, 299, 299]) };
  await secondsOf(session, feeds); // not counted
  let best = Infinity;
  for (let i = 0; i < steps; i++) best = Math.min(best, await secondsOf(session, feeds));
  console.log(JSON.stringify({
    version: `ONNX Runtime ${version}`,
    mode: 'infer',
    batch,
    threads,
    images_per_second_best: batch / best,
    max_rss_mb: process.resourceUsage().maxRSS * 1024e-6,
  }));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
