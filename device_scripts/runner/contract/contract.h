// The contract between `bench` and anything that measures a network on a device. It knows no inference library.
//
//   bench-runner JOB              run the job; JSON lines to standard output; diagnostics to standard error
//   bench-runner --version        one JSON line: the environment event
//   bench-runner --sha256 FILE…   one line `HEX  PATH` for each file, as sha256sum prints it
//   bench-runner --update UPDATE OLD NEW
//                                 make NEW of the file OLD (-: of none) and an update, below; NEW may be OLD, and is replaced in
//                                 one step when the digest of its content is right
//
// The program for other libraries than ncnn is told which: `--backend FILE LIBRARY` before JOB or --version (loaded/backend.h).
//
// JOB is a text file of `key = value` lines; `#` at the start of a line or after a blank starts a comment; unknown,
// missing and repeated keys are errors, and so are keys of another mode.
//
//   contract           3
//   mode               latency | memory | accuracy | sustained | largest | layers | switch | serve, train (which have keys of
//                      their own, below)
//   graph              path of the graph, in the runtime's own format
//   weights            path of the weights
//   weights_format     runtime | frq | nested | elm   (runtime: the runtime's own format; the others: docs/formats/. The graph
//                      of a nested package is the largest capacity's)
//   execution          stock | dense | factored | resident (stock for all weights but frq, the others for frq.
//                      dense and factored have the same graph of ordinary layers: factored replaces those that gain by it
//                      when it is loaded. A resident graph has layers of our own; how many values a layer loads says what
//                      it takes of a tensor: all of its weight, its core, or, in three layers, its factors)
//   inputs, outputs    names of blobs, separated by commas: 1 to 8 inputs in the order of the sample file, 1 to 64 outputs
//   samples            path of the packed sample file, below; all modes but accuracy use its first sample, unless they cycle
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
//   small_graph        where it may be left out: a cascade. The graph of a small network with the same inputs, which answers
//                      first; the network of `graph` is asked only where its confidence is below the threshold. `outputs`
//                      then has one more name at its end, of what the cascade itself gives: 1 where the network was asked, 0
//                      where the small one's answer stands. In the mode layers it is unsupported
//   small_weights      with small_graph, in the runtime's own format; left out where the graph holds them
//   threshold          with small_graph, 0..2: below it the network is asked. The confidence is the largest of
//                      softmax(s / temperature), s being the first output of the small network
//   temperature        with small_graph, 0.001..1000
//   cycle              where it may be left out: samples. latency and sustained then show another sample for each inference,
//                      all of them in turn in an order spread over the file, and a window tells the mean of its iterations
//                      instead of their median, since one that takes less for most samples is not faster for all
//   graph1 … graph64   where they may be left out: paths of the graphs of other capacities than the job's, where a capacity
//                      has a graph of its own; it is loaded with the same weights after a switch to that capacity
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
//   walks              switch only, 1..1000: so many times from the capacity of the job down to the smallest, up to the
//                      largest and back, one capacity at a time, with an inference of the first sample at each
//
// serve: several networks at once, each in a process of its own. It has these keys alone:
//
//   candidates         1 to 64 paths of job files of mode memory, separated by commas: the networks in all their forms
//   networks           1..16: how many run at once
//   rate1, rate2, …    for each of them, 1..1000000: thousandths of a request a second. Requests come at even intervals from the
//                      moment on at which all networks of the first phase have been loaded; no more than 100,000 in all
//   period_us          1000..1000000: how long a round of the processor is
//   phases             1..64
//   phase1, phase2, …  MILLISECONDS,CANDIDATE@THOUSANDTHS,… for each network, in order, which candidate it is, counted from 0,
//                      and its share of the processor; the shares are no more than 1000 together
//
// One network computes at a time: in each period each process goes on (SIGCONT) for its share of it and is stopped (SIGSTOP)
// for the rest; what a period gave too much or too little, the next ones make good. Shares that are not used, and what is left
// of 1000, stay idle. Where a candidate follows another, they are exchanged while the requests go on: in place where both are
// capacities of the same files, else the old process is ended and a new one started, which loads in its share. A network infers
// the newest request that has come; those that waited are answered with it.
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
// Update, little-endian: "BUPD", u32 version 1, u32 bytes of a word (1, 2 or 4), u32 0, u64 size of the old file (0: none), u64
// size of the new one, the SHA-256 of the old file (zeros: none) and of the new one; then a zlib stream to the end, of as many
// bytes as the new file has: for each of its whole words how much more it is than the old file's there (0 beyond its end, all
// little-endian, modulo 256 to the word), 0, -1, 1, -2, … as 0, 1, 2, 3, …, the lowest bytes of all words first, then the next;
// then the bytes that are left, as they are. No file has more than 2^30 bytes.
//
// File of pictures, little-endian: "BPIC", u32 version 1, u32 count (1..2^20); for each picture u64 where it ends in the file;
// then the files, one behind the other. A picture has at most 2^26 pixels and 2^28 bytes, and its decoder not more memory than
// such a picture needs. What would be decoded in another way than Pillow does is unsupported, what is damaged is bad_samples.
//
// Events, one JSON object a line, in this order:
//
//   {"event":"environment","contract":2,"runner":"…","runtime":"name version","abi":"…","compiler":"…",
//    "kernels":["avx2",…],"kernels_used":["avx2",…],"pid":n,"threads":n,"cpus_allowed":"0-3","precision":"fp32",
//    "network":"sealed"|"not sealed: …"}
//                                                     kernels: the CPU features that this build has code for, and those of
//                                                     them that this CPU has; precision as really in force, not as asked for.
//                                                     network: whether the kernel refuses this process sockets (seal.h).
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
//   {"event":"iteration","i":n,"ns":n}                            latency: one a measured iteration, printed afterwards; of a
//                                                     cascade with "asked":1 where it asked the second network, else 0
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
//   {"event":"capacities","own":n,"bytes":[n,…],"switches":n}      switch: at which capacity the network was loaded, the bytes of
//                                                     weights that each is made of, the smallest first, and how many events
//                                                     of switches follow
//   {"event":"switch","i":n,"from":n,"to":n,"ns":n,"bytes":n,"first":n}     switch: one a change of capacity, printed at the
//                                                     end. ns: until the network can infer again; bytes: of weights that were
//                                                     brought in or dropped; first: ns of the first inference after it. What
//                                                     it answers has to be, to the bit, what it answered there before: anything
//                                                     else is inference_failed
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
//   {"event":"switched","phase":n,"network":n,"candidate":n,"way":"load"|"capacity","ns":n,"bytes":n}     serve: networks counted
//                                                     from 0, phases too. ns: from the begin of the phase until it could infer,
//                                                     -1 where it could not before the phase ended; bytes: of its graph and
//                                                     weights (of a nested package the part that the capacity
//                                                     is made of, once loaded), or of weights that were brought in or dropped; of
//                                                     a package of which nothing was kept, those that were read again
//   {"event":"served","phase":n,"network":n,"granted":n,"cpu":n,"rss":n,"inferences":n}    serve: one a network and phase.
//                                                     granted: ns in which its process was not stopped; cpu: ns of processor
//                                                     time that it took meanwhile, -1 where unknown; rss: its most, in bytes
//   {"event":"phase","i":n,"ns":n,"rss":n,"own_rss":n,"own_cpu":n}   serve: printed when it ends. ns: how long it was; rss: the most
//                                                     that all networks' processes had together, looked at about 20 times a
//                                                     second once every change of capacity in place is done; own: of the
//                                                     process that hands out the shares
//   {"event":"request","phase":n,"network":n,"ns":n,"answer":"own"|"later"|"none"}     serve: one a request, by network in the order in which
//                                                     they came, printed at the end; of the phase in which it came. ns: until
//                                                     it was answered, by an inference of its own or with a later one; none:
//                                                     it was not, and ns is until the end
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
constexpr int64_t kMostRequests = 100'000;  // of one network

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
