#include "layers/low_rank_pass.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "layers/row_source.h"

namespace bench {
namespace {

constexpr int kMost = 1 << 20;
constexpr int kPiece = 1 << 18;  // values that are loaded at once, about; bench/export/layers.py has the same number
constexpr int kTile = 48;        // pixels, of which some dozens of wide channels stay in the first cache
constexpr int kWide = 64;        // of those
constexpr int kWindows = 4;

int up(int value, int step) { return (value + step - 1) / step * step; }

float number(const ncnn::ParamDict& given, int key, float otherwise) {
    constexpr int kLastNumber = 3;  // then come arrays and words, such as nan, for which ncnn gives what stands for nothing
    return given.type(key) <= kLastNumber ? given.get(key, otherwise) : NAN;
}
int number(const ncnn::ParamDict& given, int key, int otherwise) { return given.get(key, otherwise); }
bool number(const ncnn::ParamDict& given, int key, bool otherwise) { return given.get(key, otherwise ? 1 : 0) != 0; }

bool is_small(int64_t rows, int64_t terms) { return rows * terms <= INT32_MAX / 2; }

// A blob as its pixels: value c of pixel p is data[c / pack · step + p · pack + c % pack].
struct Pixels {
    float* data = nullptr;
    size_t step = 0;
    int pack = 1, channels = 0, width = 1, height = 1;

    int count() const { return width * height; }
    float* at(int c, int p) const {
        return data + static_cast<size_t>(c / pack) * step + static_cast<size_t>(p) * static_cast<size_t>(pack) + c % pack;
    }
    // Whether a vector of channels lies side by side.
    bool is_packed() const { return pack == vector_lanes(); }
};

// False for a blob that is not one of float32 pixels.
bool pixels_of(const ncnn::Mat& blob, Pixels& found) {
    if (blob.empty() || blob.elemsize != sizeof(float) * static_cast<size_t>(blob.elempack)) return false;
    found.data = const_cast<float*>(static_cast<const float*>(blob.data));
    if (blob.dims == 1) {
        found.channels = blob.w * blob.elempack;
        found.pack = found.channels % vector_lanes() == 0 ? vector_lanes() : 1;
        found.step = static_cast<size_t>(found.pack);
        return true;
    }
    if (blob.dims != 3) return false;
    found.pack = blob.elempack;
    found.step = blob.cstep * static_cast<size_t>(blob.elempack);
    found.channels = blob.c * blob.elempack;
    found.width = blob.w;
    found.height = blob.h;
    return true;
}

// As many channels side by side as ncnn's own layers have.
int pack_of(int channels) {
    for (int pack = vector_lanes(); pack > 1; pack /= 2) {
        if (pack >= 4 && channels % pack == 0) return pack;
    }
    return 1;
}

int make_blob(const ncnn::Mat& like, int width, int height, int channels, ncnn::Mat& blob, const ncnn::Option& option) {
    const int pack = option.use_packing_layout ? pack_of(channels) : 1;
    const size_t bytes = sizeof(float) * static_cast<size_t>(pack);
    if (like.dims == 1) {
        blob.create(channels / pack, bytes, pack, option.blob_allocator);
    } else {
        blob.create(width, height, channels / pack, bytes, pack, option.blob_allocator);
    }
    return blob.empty() ? kOutOfMemory : 0;
}

}  // namespace

LowRankPassParameters::LowRankPassParameters(const ncnn::ParamDict& given) {
#define READ(key, type, name, otherwise) name = number(given, key, static_cast<type>(otherwise));
    LOW_RANK_PASS_PARAMETERS(READ)
#undef READ
}

bool LowRankPassParameters::make_sense() const {
    const bool sizes = channels > 0 && channels <= kMost && rank > 0 && rank <= kMost && reduced >= 0 && reduced <= kMost;
    const bool known = (0 <= activation && activation <= 3) || activation == 6 || activation == 7;
    const bool steps = !(pooled && (added || wide)) && !(wide && reduced == 0) && std::isfinite(a) && std::isfinite(b);
    return sizes && known && steps && is_small(channels + kMostLanes, rank) && is_small(channels + kMostLanes, reduced + kMostLanes);
}

int Factor::load(int own_rows, int own_terms, bool is_half, const ncnn::ModelBin& from) {
    const int lanes = vector_lanes();
    rows = own_rows;
    vectors = up(rows, lanes) / lanes;
    half = is_half;
    const size_t wide = static_cast<size_t>(lanes), row = static_cast<size_t>(terms) * wide;
    const size_t bytes = half ? sizeof(_Float16) : sizeof(float);
    weights.create(static_cast<int>(row), vectors, bytes, static_cast<ncnn::Allocator*>(nullptr));
    if (weights.empty()) return kOutOfMemory;
    std::memset(weights.data, 0, row * static_cast<size_t>(vectors) * bytes);
    const int piece = std::max(1, kPiece / own_terms);
    for (int first = 0; first < rows; first += piece) {
        const int count = std::min(piece, rows - first);
        const ncnn::Mat values = from.load(count * own_terms, 0);
        if (values.empty()) return kOutOfMemory;
        const float* value = values;
        for (int o = first; o < first + count; o++) {
            const size_t place = static_cast<size_t>(o / lanes) * row + static_cast<size_t>(o % lanes);
            for (int k = 0; k < own_terms; k++, value++) {
                const size_t to = place + static_cast<size_t>(k) * wide;
                if (!half) {
                    static_cast<float*>(weights.data)[to] = *value;
                    continue;
                }
                const _Float16 small = static_cast<_Float16>(*value);  // ncnn's own flushes the smallest to zero
                if (static_cast<float>(small) != *value) return kBadLayer;
                static_cast<_Float16*>(weights.data)[to] = small;
            }
        }
    }
    const ncnn::Mat bias = from.load(rows, 1);
    if (bias.empty()) return kOutOfMemory;
    start.assign(static_cast<size_t>(vectors) * wide, 0.0f);
    std::copy_n(static_cast<const float*>(bias), rows, start.begin());
    return 0;
}

const void* Factor::at(int first, int term) const {
    const size_t place = (static_cast<size_t>(first) * static_cast<size_t>(terms) + static_cast<size_t>(term)) *
                         static_cast<size_t>(vector_lanes());
    return static_cast<const char*>(weights.data) + place * (half ? sizeof(_Float16) : sizeof(float));
}

LowRankPass::LowRankPass() {
    one_blob_only = false;
    support_inplace = false;
    support_packing = true;
    support_any_packing = true;
}

int LowRankPass::load_param(const ncnn::ParamDict& parameters) {
    p_ = LowRankPassParameters(parameters);
    return p_.make_sense() ? 0 : kBadLayer;
}

int LowRankPass::load_model(const ncnn::ModelBin& weights) {
    const int lanes = vector_lanes();
    expand_.terms = p_.rank;
    if (const int status = expand_.load(p_.channels, p_.rank, p_.half, weights)) return status;
    if (p_.activation == static_cast<int>(Activation::slopes)) {
        const ncnn::Mat slopes = weights.load(p_.channels, 1);
        if (slopes.empty()) return kOutOfMemory;
        slopes_.assign(static_cast<size_t>(up(p_.channels, lanes)), 0.0f);
        std::copy_n(static_cast<const float*>(slopes), p_.channels, slopes_.begin());
    }
    reduce_.terms = up(p_.channels, lanes);
    return p_.reduced > 0 ? reduce_.load(p_.reduced, p_.channels, p_.half, weights) : 0;
}

// The work of one inference. Blobs without data are not there.
class LowRankPass::Tiles {
public:
    Tiles(const LowRankPass& layer, const Pixels& z, const Pixels& added, const Pixels& wide, const Pixels& result, int tile)
        : layer_(layer), p_(layer.p_), z_(z), added_(added), wide_(wide), result_(result), tile_(tile) {}

    // Pixels from `first` on of the wide space after pooling, `count` of them, at most a tile.
    void make(int first, int count, Arena& arena) const {
        const Arena::Frame frame(arena);
        Pointwise windows[kWindows];
        read(first, count, windows, arena);
        const int lanes = vector_lanes(), block = std::max(2, kWide / lanes);
        const bool direct_wide = wide_.data && wide_.is_packed(), direct_sums = result_.data && result_.is_packed();
        float* const some = direct_wide ? nullptr : arena.take(room(block));
        float* const sums = direct_sums ? result_.at(0, first) : result_.data ? arena.take(room(layer_.reduce_.vectors)) : nullptr;
        const size_t some_step = direct_wide ? wide_.step : plane(), sums_step = direct_sums ? result_.step : plane();
        for (int v = 0; v < layer_.expand_.vectors; v += block) {
            const int here = std::min(block, layer_.expand_.vectors - v);
            float* const values = direct_wide ? wide_.at(v * lanes, first) : some;
            expand(windows, v, here, first, count, values, some_step, arena);
            if (wide_.data && !direct_wide) scatter(values, some_step, v, here, first, count, wide_);
            if (sums) reduce(values, some_step, v * lanes, here * lanes, 0, layer_.reduce_.vectors, count, sums, sums_step);
        }
        if (sums && !direct_sums) scatter(sums, sums_step, 0, layer_.reduce_.vectors, first, count, result_);
    }

    // The same in two steps for all pixels, which are one tile: wide values of some vectors, [vectors][tile][lanes], …
    void make_wide(int vector, int vectors, float* values, Arena& arena) const {
        const Arena::Frame frame(arena);
        Pointwise windows[kWindows];
        const int count = pixels();
        read(0, count, windows, arena);
        float* const own = values + static_cast<size_t>(vector) * plane();
        expand(windows, vector, vectors, 0, count, own, plane(), arena);
        if (wide_.data) scatter(own, plane(), vector, vectors, 0, count, wide_);
    }

    // … then the outputs, of some vectors of them.
    void make_result(int vector, int vectors, const float* values, Arena& arena) const {
        const Arena::Frame frame(arena);
        const int count = pixels();
        float* const sums = arena.take(room(vectors));
        reduce(values, plane(), 0, layer_.reduce_.terms, vector, vectors, count, sums, plane());
        scatter(sums, plane(), vector, vectors, 0, count, result_);
    }

    int pixels() const { return p_.pooled ? (z_.width / 2) * (z_.height / 2) : z_.count(); }

private:
    size_t plane() const { return static_cast<size_t>(tile_) * static_cast<size_t>(vector_lanes()); }
    size_t room(int vectors) const { return static_cast<size_t>(vectors) * plane(); }

    // Where the values of z for a tile are: in the blob itself if they lie as the kernel wants them, else in a copy; for each of
    // the four pixels of a pooled one.
    void read(int first, int count, Pointwise (&windows)[kWindows], Arena& arena) const {
        const bool packed = z_.is_packed();
        if (!p_.pooled && (packed || z_.pack == 1)) {
            windows[0].in = z_.at(0, first), windows[0].in_step = z_.step, windows[0].packed = packed;
            return;
        }
        const int pack = packed ? z_.pack : 1, width = z_.width / 2;
        const size_t step = static_cast<size_t>(tile_) * static_cast<size_t>(pack);
        for (int w = 0; w < (p_.pooled ? kWindows : 1); w++) {
            float* const copy = arena.take(static_cast<size_t>(up(z_.channels, pack) / pack) * step);
            windows[w].in = copy, windows[w].in_step = step, windows[w].packed = packed;
            for (int k = 0; k < z_.channels; k += pack) {
                float* to = copy + static_cast<size_t>(k / pack) * step;
                for (int i = 0; i < count; i++, to += pack) {
                    int p = first + i;
                    if (p_.pooled) p = (2 * (p / width) + w / 2) * z_.width + 2 * (p % width) + w % 2;
                    const float* from = z_.at(k, p);
                    if (packed) {
                        std::memcpy(to, from, static_cast<size_t>(pack) * sizeof(float));
                    } else {
                        *to = *from;
                    }
                }
            }
        }
    }

    void expand(const Pointwise* windows, int vector, int vectors, int first, int count, float* to, size_t step, Arena& arena) const {
        const Arena::Frame frame(arena);
        const int lanes = vector_lanes();
        const size_t place = static_cast<size_t>(vector) * static_cast<size_t>(lanes);
        for (int w = 0; w < (p_.pooled ? kWindows : 1); w++) {
            Pointwise work = windows[w];
            work.terms = p_.rank, work.vectors = vectors, work.pixels = count;
            work.weights = layer_.expand_.at(vector, 0);
            work.weights_step = static_cast<size_t>(layer_.expand_.terms) * static_cast<size_t>(lanes);
            work.half = p_.half;
            work.start = layer_.expand_.start.data() + place;
            work.plus = nullptr, work.plus_step = 0;
            if (added_.data && added_.is_packed()) {
                work.plus = added_.at(vector * lanes, first), work.plus_step = added_.step;
            } else if (added_.data) {
                float* const copy = arena.take(room(vectors));
                gather(added_, vector, vectors, first, count, copy);
                work.plus = copy, work.plus_step = plane();
            }
            work.out = to, work.out_step = step;
            work.activation = static_cast<Activation>(p_.activation), work.a = p_.a, work.b = p_.b;
            work.slopes = layer_.slopes_.empty() ? nullptr : layer_.slopes_.data() + place;
            work.largest = w > 0;
            pointwise(work);
        }
    }

    // Adds what the wide channels from `term` on are worth to some vectors of the outputs, whose bias comes with the first.
    void reduce(const float* values, size_t values_step, int term, int terms, int vector, int vectors, int count, float* sums,
                size_t step) const {
        Pointwise work{};
        work.terms = terms, work.vectors = vectors, work.pixels = count;
        work.in = values, work.in_step = values_step, work.packed = true;
        work.weights = layer_.reduce_.at(vector, term);
        work.weights_step = static_cast<size_t>(layer_.reduce_.terms) * static_cast<size_t>(vector_lanes());
        work.half = p_.half;
        work.out = sums, work.out_step = step;
        if (term == 0) {
            work.start = layer_.reduce_.start.data() + static_cast<size_t>(vector) * static_cast<size_t>(vector_lanes());
        } else {
            work.plus = sums, work.plus_step = step;
        }
        pointwise(work);
    }

    // Between vectors of channels, [vectors][tile][lanes], and a blob that has its channels in another way.
    template <class Each>
    void for_each_value(const Pixels& blob, int vector, int vectors, size_t step, Each&& each) const {
        const int lanes = vector_lanes();
        for (int c = vector * lanes; c < std::min((vector + vectors) * lanes, blob.channels); c++) {
            each(c, static_cast<size_t>(c / lanes - vector) * step + static_cast<size_t>(c % lanes));
        }
    }
    void scatter(const float* from, size_t step, int vector, int vectors, int first, int count, const Pixels& blob) const {
        const int lanes = vector_lanes();
        for_each_value(blob, vector, vectors, step, [&](int c, size_t place) {
            float* to = blob.at(c, first);
            for (int i = 0; i < count; i++) to[i * blob.pack] = from[place + static_cast<size_t>(i * lanes)];
        });
    }
    void gather(const Pixels& blob, int vector, int vectors, int first, int count, float* to) const {
        const int lanes = vector_lanes();
        std::fill_n(to, room(vectors), 0.0f);
        for_each_value(blob, vector, vectors, plane(), [&](int c, size_t place) {
            const float* from = blob.at(c, first);
            for (int i = 0; i < count; i++) to[place + static_cast<size_t>(i * lanes)] = from[i * blob.pack];
        });
    }

    const LowRankPass& layer_;
    const LowRankPassParameters& p_;
    const Pixels &z_, &added_, &wide_, &result_;
    int tile_;
};

int LowRankPass::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const {
    if (bottoms.size() != (p_.added ? 2 : 1) || tops.size() != (p_.wide ? 2 : 1)) return kBadLayer;
    Pixels z, added, wide, result;
    if (!pixels_of(bottoms[0], z) || z.channels != p_.rank) return kBadLayer;
    if (p_.added) {
        if (!pixels_of(bottoms[1], added) || bottoms[1].dims != bottoms[0].dims) return kBadLayer;
        if (added.channels != p_.channels || added.width != z.width || added.height != z.height) return kBadLayer;
    }
    const int width = p_.pooled ? z.width / 2 : z.width, height = p_.pooled ? z.height / 2 : z.height;
    if (width < 1 || height < 1) return kBadLayer;
    const auto make = [&](int channels, ncnn::Mat& blob, Pixels& found) {
        if (const int status = make_blob(bottoms[0], width, height, channels, blob, option)) return status;
        return pixels_of(blob, found) ? 0 : kBadLayer;
    };
    if (p_.reduced > 0) {
        if (const int status = make(p_.reduced, tops[0], result)) return status;
    }
    if (p_.reduced == 0 || p_.wide) {
        if (const int status = make(p_.channels, tops.back(), wide)) return status;
    }

    const int pixels = width * height, block = pixel_block(), threads = std::max(1, option.num_threads);
    if (pixels <= block) return few(Tiles(*this, z, added, wide, result, pixels), pixels, option);
    int parts = (pixels + kTile - 1) / kTile;
    parts = std::min(up(parts, threads), (pixels + block - 1) / block);
    const int tile = up((pixels + parts - 1) / parts, block);
    parts = (pixels + tile - 1) / tile;
    const Tiles tiles(*this, z, added, wide, result, tile);
    const int bands = std::min(threads, parts);
    return for_each_band(bands, option, [&](int band, Arena& arena) {
        for (int part = parts * band / bands; part < parts * (band + 1) / bands; part++) {
            tiles.make(part * tile, std::min(tile, pixels - part * tile), arena);
        }
    });
}

// For few pixels the weights are what takes time: each matrix is read once from front to back, its rows shared by the threads.
int LowRankPass::few(const Tiles& tiles, int pixels, const ncnn::Option& option) const {
    ncnn::Mat values(pixels * vector_lanes(), expand_.vectors, sizeof(float), option.workspace_allocator);
    if (values.empty()) return kOutOfMemory;
    const auto in_pairs = [&](int vectors, auto&& make) {  // as the kernel takes them
        const int pairs = (vectors + 1) / 2, bands = std::min(std::max(1, option.num_threads), pairs);
        return for_each_band(bands, option, [&](int band, Arena& arena) {
            const int first = 2 * (pairs * band / bands), last = std::min(vectors, 2 * (pairs * (band + 1) / bands));
            make(first, last - first, arena);
        });
    };
    const int status = in_pairs(expand_.vectors, [&](int vector, int vectors, Arena& arena) {
        tiles.make_wide(vector, vectors, values, arena);
    });
    if (status != 0 || p_.reduced == 0) return status;
    return in_pairs(reduce_.vectors, [&](int vector, int vectors, Arena& arena) {
        tiles.make_result(vector, vectors, values, arena);
    });
}

ncnn::Layer* make_low_rank_pass(void*) { return new LowRankPass; }

}  // namespace bench
