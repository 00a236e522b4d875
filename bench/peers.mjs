// Runs llama.cpp (through npm node-llama-cpp) and qrun bench in turns on the
// same shapes and prints the ratios of their medians. See README.md.
//
//   node peers.mjs --modules DIR --qrun FILE --gguf FILE --qpt FILE [--qpt FILE ...]
//                  [--threads 2] [--rounds 5] [--flash auto|on|off] [--tests pp512,tg128,...]

import {execFileSync} from "node:child_process";
import {basename, resolve} from "node:path";
import {pathToFileURL} from "node:url";
import {parseArgs} from "node:util";

const {values: arg} = parseArgs({options: {
    modules: {type: "string"}, qrun: {type: "string"}, gguf: {type: "string"}, qpt: {type: "string", multiple: true},
    threads: {type: "string", default: "2"}, rounds: {type: "string", default: "5"}, flash: {type: "string", default: "auto"}, tests: {type: "string", default: ""},
}});
for (const name of ["modules", "qrun", "gguf", "qpt"]) {
    if (!arg[name]) {
        console.error(`peers: error: --${name} is missing`);
        process.exit(2);
    }
}
const threads = Number(arg.threads), rounds = Number(arg.rounds);

// depth: tokens before, not timed; prompt: timed; decode: timed one by one.
// The names are those of qrun bench, flags what makes it run that test alone.
const tests = [
    {name: "pp512", prompt: 512, flags: ["--prefill", "512", "--decode", "0", "--mixed", ""]},
    {name: "tg128", decode: 128, flags: ["--prefill", "0", "--mixed", ""]},
    {name: "tg128@1024", depth: 1024, decode: 128, flags: ["--prefill", "0", "--mixed", "", "--depth", "1024"]},
    {name: "load", load: true}, // to the first token; qrun's whole process, of llama.cpp what follows its start
    {name: "1024+128", prompt: 1024, decode: 127, flags: ["--prefill", "0", "--decode", "0", "--mixed", "1024+128"]},
].filter((t) => arg.tests ? arg.tests.split(",").includes(t.name) : !t.load);

const {getLlama} = await import(pathToFileURL(resolve(arg.modules, "node_modules/node-llama-cpp/dist/index.js")));
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, progressLogs: false, maxThreads: threads});
async function open() {
    const model = await llama.loadModel({modelPath: arg.gguf});
    const context = await model.createContext({
        contextSize: 2048, batchSize: 512, threads: {ideal: threads, min: threads},
        flashAttention: {auto: "auto", on: true, off: false}[arg.flash],
    });
    return {model, sequence: context.getSequence()};
}
const {model, sequence} = await open();
const {metadata} = model.fileInfo;
const vocabulary = metadata[metadata.general.architecture].vocab_size ?? metadata.tokenizer.ggml.tokens.length;
const anyTokens = (n) => Array.from({length: n}, (_, i) => (i * 104729 + 1) % vocabulary); // as qrun bench

// Returns {name: figure}: tokens/s, or ms for TTFT and TPOT.
async function runLlama(test) {
    const seconds = (start) => (performance.now() - start) / 1e3;
    if (test.load) {
        const start = performance.now(), again = await open();
        for await (const _ of again.sequence.evaluate(anyTokens(2), {temperature: 0, yieldEogToken: true})) {
            break;
        }
        const total = seconds(start);
        await again.model.dispose();
        return {[test.name]: total * 1e3};
    }
    await sequence.clearHistory();
    if (test.depth) {
        await sequence.evaluateWithoutGeneratingNewTokens(anyTokens(test.depth));
    }
    let start = performance.now();
    if (!test.decode) {
        await sequence.evaluateWithoutGeneratingNewTokens(anyTokens(test.prompt));
        return {[test.name]: test.prompt / seconds(start)};
    }
    let first = 0, n = 0;
    const steps = test.decode + (test.prompt ? 1 : 0);
    for await (const _ of sequence.evaluate(anyTokens(test.prompt ?? 1), {temperature: 0, yieldEogToken: true})) {
        if (n++ === 0) {
            first = seconds(start);
        }
        if (n === steps) {
            break;
        }
    }
    if (n < steps) {
        throw new Error(`llama.cpp ended after ${n} tokens of ${steps}`);
    }
    const total = seconds(start);
    if (!test.prompt) {
        return {[test.name]: test.decode / total};
    }
    return {[`${test.name} TTFT`]: first * 1e3, [`${test.name} TPOT`]: (total - first) * 1e3 / test.decode};
}

// Returns {name: result of qrun bench}.
function runQrun(qpt, test) {
    if (test.load) {
        const start = performance.now();
        execFileSync(arg.qrun, ["--model", qpt, "--threads", arg.threads, "--prompt", "The", "-n", "1", "--quiet"], {stdio: ["ignore", "ignore", "inherit"]});
        return {[test.name]: {median: performance.now() - start, unit: "ms"}};
    }
    const out = execFileSync(arg.qrun, ["bench", "--model", qpt, "--threads", arg.threads, "--repeats", "1", "--json", "--quiet", ...test.flags]);
    return Object.fromEntries(JSON.parse(out).results.map((r) => [r.test, r]));
}

function median(list) {
    const s = list.toSorted((a, b) => a - b), n = s.length;
    return (s[(n - 1) >> 1] + s[n >> 1]) / 2;
}

const theirs = {}, ours = arg.qpt.map(() => ({})); // by name, a figure or result for each round
const push = (lists, results) => Object.entries(results).forEach(([name, r]) => (lists[name] ??= []).push(r));
for (const test of tests) {
    await runLlama(test); // to warm up, as qrun does at every start
    for (let round = 0; round < rounds; round++) {
        console.error(`${test.name}, round ${round + 1} of ${rounds}`);
        push(theirs, await runLlama(test));
        arg.qpt.forEach((qpt, i) => push(ours[i], runQrun(qpt, test)));
    }
}

const figure = (x) => x < 100 ? x.toFixed(2) : x.toFixed(0);
const range = (list) => `${figure(median(list))} (${figure(Math.min(...list))}-${figure(Math.max(...list))})`;
console.log(`node-llama-cpp, ${basename(arg.gguf)}, flash attention ${arg.flash}: ${llama.systemInfo.trim()}`);
console.log(`${threads} threads, median (min-max) of ${rounds} runs in turns; a ratio above 1 means that qpt is faster\n`);
console.log("| test | unit | llama.cpp | file | qpt | ratio | limit of qpt | reached by qpt |\n| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [name, list] of Object.entries(theirs)) {
    arg.qpt.forEach((qpt, i) => {
        const runs = ours[i][name], of = (key) => runs.map((r) => r[key]);
        let ratio = median(of("median")) / median(list);
        if (runs[0].unit === "ms") {
            ratio = 1 / ratio;
        }
        const limit = runs[0].bound ? `${figure(median(of("limit")))} (${runs[0].bound}) | ${(100 * median(of("reached"))).toFixed(1)} %` : " | ";
        console.log(`| ${name} | ${runs[0].unit} | ${range(list)} | ${basename(qpt)} | ${range(of("median"))} | **${ratio.toFixed(2)}** | ${limit} |`);
    });
}
process.exit(0);
