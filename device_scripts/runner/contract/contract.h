// The contract between `bench` and anything that measures a network on a device. It knows no inference library.
//
//   bench-runner JOB              run the job; JSON lines to standard output; diagnostics to standard error
//   bench-runner --version        one JSON line: the environment event
//   bench-runner --sha256 FILE…   one line `HEX  PATH` for each file, as sha256sum prints it
//
// The program for other libraries than ncnn is told which: `--backend FILE LIBRARY` before JOB or --version (loaded/backend.h).
//
// JOB is a text file of `key = value` lines; `#` at the start of a line or after a blank starts a comment; unknown,
// missing and repeated keys are errors, and so are keys of another mode.
//
//   contract           3
//   mode               latency | memory | accuracy | sustained | largest | layers | train (below)
//   graph              path of the graph, in the runtime's own format
//   weights            path of the weights
//   weights_format     runtime | frq | elm      (runtime: the runtime's own format; frq, elm: docs/formats/)
//   execution          stock | dense | factored | resident (stock for the runtime's own weights and elm, the others for frq.
//                      dense and factored have the same graph of ordinary layers: factored replaces those that gain by it
//                      when it is loaded. A resident graph has layers of our own; how many values a layer loads says what
//                      it takes of a tensor: all of its weight, its core, or, in three layers, its factors)
//   inputs, outputs    names of blobs, separated by commas: 1 to 8 inputs in the order of the sample file, 1 to 64 outputs
//   samples            path of the packed sample file, below; all modes but accuracy use its first sample
//   pictures           accuracy only, instead of samples: path of a picture file (JPEG, PNG, BMP), or of many in one, below.
//                      Each is decoded, turned upright as its Exif says, and made an input by
//   preprocess         with pictures, fields in this order, one blank between them: to=CxHxW (of the one input; C is 1 for
//                      grey, else 3), resize=shorter|exact|none, size=network|SIDE|HEIGHTxWIDTH,
//                      filter=nearest|bilinear|bicubic|lanczos (Pillow's, to the bit), crop=yes|no (the middle),
//                      channels=rgb|bgr|grey, scale=X, mean=X or X,X,X, deviation likewise: decimal numbers. A value of
//                      0..255 becomes (value * scale - mean) / deviation, computed in double
//   stages             with pictures, where it may be left out: path to write what became of the first picture: its decoded
//                      pixels and the resized ones (bytes, rows of pixels of interleaved channels), and its input (float32)
//   answers            path to write. accuracy: float32, little-endian, no header: for each sample, for each output in
//                      the order of `outputs`, its values. layers, where it may be left out: the same of the first sample,
//                      for each layer in the order of its events, for each of its `outputs`
//   capacity           where it may be left out, 1..64: at which capacity of a nested package the network is computed, 1 the
//                      smallest; without it at the largest
//   threads            1..64
//   affinity           hexadecimal CPU mask, or 0 to leave it
//   precision          fp32 | fp16s (half storage) | fp16a (half arithmetic) | bf16 (storage) | int8
//   warmup_iterations, warmup_ms, min_iterations, min_ms, max_iterations     latency and layers. No more than 2^22 times of
//                      layers are kept, so a network of many layers has fewer iterations
//   beside             latency only, 0..16: copies of this network, each in a process of its own that infers without a pause
//                      while this one warms up and is measured. They begin after this one's first inference, on the same
//                      CPUs, and end with this process, whatever ends it
//   load               latency only, 0..64: threads of other work (arithmetic, and streaming through 32 MiB), in one more
//                      process, likewise
//   seconds            sustained only, 1..86400: no warm-up; inferences without a pause for so long
//   extents            largest only, HEIGHTxWIDTH, each 1..65536: the first sample, tiled and cropped to that size, is what
//                      the one inference gets. One input of float32 and rank 3, of a size that the graph leaves open; at most
//                      2^26 pixels, in a 32-bit build 2^22: beyond that is unsupported, because ncnn counts in int and size_t.
//                      The process first makes itself the one that the system ends when memory does (oom_score_adj 1000)
//
// The mode train makes an extreme learning machine of samples and has keys of its own (docs/elm.md). It first makes itself the
// process that the system ends when memory does:
//
//   contract, mode, threads, affinity     as above
//   samples            packed sample file of two inputs: float32, and the class as one int32
//   validation         likewise, where it may be left out: samples by which one of several alphas is chosen
//   test               likewise, where it may be left out: samples that the package is scored on
//   package            path to write: a .elm package (docs/formats/elm.md)
//   neurons, classes   1..131072, 2..1024
//   seed               0..999999999999999999
//   alphas             regularisations, 1 to 16 decimal numbers, 1e-12 to 1e12, separated by commas; of several the validation
//                      samples choose
//   matrix             float32 | float16 | file: what the triangle of the normal equations is kept as. file: float32 in a file
//                      beside the job, which has no name any more once it is there
//
// Packed sample file, little-endian: "BSMP", u32 version 2, u32 count, u32 inputs (1..8); for each input u32 dtype
// (0 float32, 1 int32), u32 rank (1..4), u32 extents[rank] without a batch axis; then for each sample, for each input, its
// values of 4 bytes in row-major order. Its length must match exactly; an input has at most 2^26 values a sample.
//
// File of pictures, little-endian: "BPIC", u32 version 1, u32 count (1..2^20); for each picture u64 where it ends in the file;
// then the files, one behind the other. A picture has at most 2^26 pixels and 2^28 bytes, and its decoder not more memory than
// such a picture needs. What would be decoded in another way than Pillow does is unsupported, what is damaged is bad_samples.
//
// Events, one JSON object a line, in this order:
//
//   {"event":"environment","contract":2,"runner":"…","runtime":"name version","abi":"…","compiler":"…",
//    "kernels":["avx2",…],"kernels_used":["avx2",…],"pid":n,"threads":n,"cpus_allowed":"0-3","precision":"fp32"}
//                                                     kernels: the CPU features that this build has code for, and those of
//                                                     them that this CPU has; precision as really in force, not as asked for.
//                                                     A loaded library adds "library_rss": what was resident of this process
//                                                     with the library in it, before any network
//   {"event":"decode","ns":n,"coefficients":n,"values":n}         frq only
//   {"event":"load","ns":n}                                       graph + weights + pipelines, decode included; and a loaded
//                                                     library itself
//   {"event":"picture","sha256":"…","pixels":[h,w,c],"resized":[h,w,c],"stages":"…"}     with pictures: the file of the first
//                                                     one, what its stages measure, and where they were written, if anywhere
//   {"event":"accelerator","device":"…","driver":"…","software":0|1,"layers":n,"elsewhere":n,"names":["name (Operator)",…]}
//                                                     only where something else than this process's CPUs computes: what, by
//                                                     its driver's words; software: the driver computes on the CPUs after
//                                                     all; of its layers that compute, those that are computed without it,
//                                                     and the first 40 of their names
//   {"event":"first_inference","ns":n}
//   {"event":"warmup","iterations":n,"ns":n}                       latency and layers
//   {"event":"iteration","i":n,"ns":n}                            latency: one a measured iteration, printed afterwards
//   {"event":"layers","count":n,"iterations":n,"ns":n,"whole":n}   layers: how many events of layers follow, 1 to 10,000; how
//                                                     many inferences were timed layer by layer, and the median of them;
//                                                     whole: that of ordinary ones, each between two of those; -1 where the
//                                                     library times its layers itself, in every inference
//   {"event":"layer","i":n,"name":"…","type":"…","ns":n,"read":n,"bytes":n,"weights":n,"deferred":n,"inputs":["…",…],
//    "outputs":[{"name":"…","shape":[n,…]},…]}          layers: one a layer, in the order in which they are executed. ns:
//                                                     median of its iterations, conversions of what it reads included, and of
//                                                     what it answers; read, bytes: of its inputs and of its outputs in
//                                                     memory, read -1 where that is unknown; weights: how many
//                                                     values, -1 where unknown; shapes without a batch axis. deferred: 1 for a
//                                                     layer of ours whose rows are made when the next one reads them: its time
//                                                     is in that one, and it has no outputs here
//   {"event":"beside","copies":n,"load":n,"inferences":n}          latency with others beside: how many inferences the copies
//                                                     finished while this one was measured; 0: they did not run
//   {"event":"window","i":n,"ns":n,"iterations":n,"median":n,"khz":n}     sustained: one a second, printed at once. ns: when
//                                                     it began, since the load did; median of its iterations in ns; khz: clock
//                                                     of the CPU it ended on, then (scaling_cur_freq), -1 where unknown. It
//                                                     ends with the inference that passes a whole second of the load, so one
//                                                     inference of more than a second is a longer window
//   {"event":"clock","cpus":"4-7","khz":n,"lowest":n,"highest":n,"share":n,"source":"time_in_state"|"scaling_cur_freq"}
//                                                     latency and sustained: at most 64, one a cpufreq policy of the allowed
//                                                     CPUs, those first that most iterations ended on; none where the kernel
//                                                     reports nothing. khz: mean over the timed loop, weighted by time;
//                                                     lowest, highest: of the clocks it had meanwhile; share: thousandths of
//                                                     the iterations that ended on its CPUs. scaling_cur_freq is read before
//                                                     and after the loop (sustained: each second) only, and only for policies
//                                                     that it ran on
//   {"event":"answers","path":"…","samples":n,"bytes":n,"counts":[n,…]}   accuracy, and layers with `answers`; counts: values
//                                                     of each output in one sample
//   {"event":"progress","stage":"products"|"factor"|"solve","done":n,"total":n}     train: at most one a second, printed at once
//   {"event":"pivot","neuron":n,"shift":"…"}         train: the matrix was not positive definite there, and is factored again
//                                                     with more than that for alpha
//   {"event":"solution","alpha":"…","iterations":n,"residual":"…","right":n,"of":n}     train: one an alpha, largest first;
//                                                     decimal numbers are text. right, of: of the validation samples, if any
//   {"event":"trained","package":"…","bytes":n,"neurons":n,"inputs":n,"samples":n,"alpha":"…","residual":"…","iterations":n,
//    "condition":"…","shift":"…","tries":n,"products_ns":n,"factor_ns":n,"solve_ns":n,"matrix":n,"right":n,"of":n}
//                                                     train: condition is an estimate for the matrix that was factored, which
//                                                     had shift for alpha; matrix: its bytes in memory; right, of: of test
//   {"event":"memory","vm_hwm":n,"rss":n,"pss":n,"anonymous":n}    bytes; -1 where the system does not report it
//   {"event":"error","kind":"…","message":"…"}                    instead of what could not be done
//   {"event":"end","status":"ok"|"error","exit":n,"ns":n}          always last; ns since the process began main()
#pragma once

#include <cstdint>

namespace bench {

constexpr int kContract = 3;
constexpr int kMostInputs = 8;
constexpr int kMostOutputs = 64;
constexpr int kMostCapacities = 64;
constexpr int kMostLayers = 10'000;
constexpr int64_t kMostLayerTimes = 1 << 22;

enum class Exit : int {
    ok = 0,
    bad_job = 2,           // kind "bad_job": key, value or syntax
    missing_file = 3,      // "missing_file": cannot be opened or read
    bad_graph = 4,         // "bad_graph": the graph file, a layer this build lacks, or a blob name not in it
    bad_weights = 5,       // "bad_weights": the wrong length, a failed check sum, or a package that lies
    bad_samples = 6,       // "bad_samples": the packed sample file, a picture, or shapes that the network or the mode does not take
    out_of_memory = 7,     // "out_of_memory"
    unsupported = 8,       // "unsupported": a mode or size, or a precision or instruction that this CPU does not have
    inference_failed = 9,  // "inference_failed": of this process, or of a copy beside
    write_failed = 10,     // "write_failed": answers
};

}  // namespace bench
