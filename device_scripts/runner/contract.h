// The contract between `bench` and anything that measures a network on a device. It knows no inference library.
//
//   bench-runner JOB          run the job; JSON lines to standard output; diagnostics to standard error
//   bench-runner --version    one JSON line: the environment event
//
// JOB is a text file of `key = value` lines; `#` at the start of a line or after a blank starts a comment; unknown,
// missing and repeated keys are errors, and so are keys of another mode.
//
//   contract           1
//   mode               latency | memory | accuracy
//   graph              path of the ncnn param file
//   weights            path of the weights
//   weights_format     ncnn | frq               (frq: docs/formats/frq.md)
//   execution          stock | dense | factored | resident (stock for ncnn, the others for frq. dense and factored have the same
//                      graph of ordinary layers: factored replaces those that gain by it when it is loaded. A resident graph
//                      has RankPass and RankCore layers; how many values a layer loads says what it takes of a tensor: all of
//                      its weight, its core, or, in three layers, its factors)
//   input, output      blob names
//   samples            path of the packed sample file, below; latency and memory use its first sample
//   outputs            path to write, accuracy only: float32 of all samples in order, little-endian, no header
//   threads            1..64
//   affinity           hexadecimal CPU mask, or 0 to leave it
//   precision          fp32 | fp16s (half storage) | fp16a (half arithmetic) | bf16 (storage) | int8
//   warmup_iterations, warmup_ms, min_iterations, min_ms, max_iterations     latency only
//
// Packed sample file, little-endian: "BSMP", u32 version 1, u32 count, u32 channels, u32 height, u32 width, then
// count*channels*height*width float32 in that order. Its length must match exactly; a sample has at most 2^26 values.
//
// Events, one JSON object a line, in this order:
//
//   {"event":"environment","contract":1,"runner":"…","ncnn":"…","abi":"…","compiler":"…","arm82":bool,"pid":n,
//    "threads":n,"cpus_allowed":"0-3","precision":"fp32"}          precision as really in force, not as asked for
//   {"event":"decode","ns":n,"coefficients":n,"values":n}         frq only
//   {"event":"load","ns":n}                                       graph + weights + pipelines, decode included
//   {"event":"first_inference","ns":n}
//   {"event":"warmup","iterations":n,"ns":n}                       latency only
//   {"event":"iteration","i":n,"ns":n}                            latency: one a measured iteration, printed afterwards
//   {"event":"outputs","path":"…","samples":n,"bytes":n}          accuracy only
//   {"event":"memory","vm_hwm":n,"rss":n,"pss":n,"anonymous":n}    bytes; -1 where the system does not tell
//   {"event":"error","kind":"…","message":"…"}                    instead of what could not be done
//   {"event":"end","status":"ok"|"error","exit":n,"ns":n}          always last; ns since the process began main()
#pragma once

namespace bench {

constexpr int kContract = 1;

enum class Exit : int {
    ok = 0,
    bad_job = 2,         // kind "bad_job": key, value or syntax
    missing_file = 3,    // "missing_file": cannot be opened or read
    bad_graph = 4,       // "bad_graph": the param file, a layer this build lacks, or a blob name not in it
    bad_weights = 5,     // "bad_weights": the wrong length, a failed check sum, or a package that lies
    bad_samples = 6,     // "bad_samples": the packed sample file, or a shape the network does not take
    out_of_memory = 7,   // "out_of_memory"
    unsupported = 8,     // "unsupported": a precision this CPU or this build cannot do
    inference_failed = 9,// "inference_failed"
    write_failed = 10,   // "write_failed": outputs
};

}  // namespace bench
