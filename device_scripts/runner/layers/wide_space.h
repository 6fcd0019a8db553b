// A wide space as a function of t in (0, 1), of which its channels are samples: computing with fewer of them, or with other
// ones, changes how many values an integral is made of, and nothing else. docs/resident.md, "Width chosen at run time".
#pragma once

#include <cstddef>
#include <vector>

namespace bench {

class WideSpace {
public:
    // Of so many channels, computed at `samples` points in the middle of as many equal parts of (0, 1); 0: at the channels
    // themselves, which are such points. Or at `points`, of which each stands for its part in `weights` of the channels.
    WideSpace(int channels, int samples, const std::vector<float>& points, const std::vector<float>& weights);

    // How many points it is computed at.
    size_t size() const { return points_.size(); }

    // E, size() × rank: what each point is of a value in each of the first columns of D(channels).
    std::vector<float> expand(int rank) const;

    // R, size() × reduced: what each point is worth in each of the first rows of D(total)ᵀ, where the channels of this space
    // are those from `first` on.
    std::vector<float> reduce(int reduced, int total, int first) const;

    // The same in each of the `reduced` outputs of a pointwise layer D(reduced) core D(channels)ᵀ; core is kept_out × kept.
    std::vector<float> reduce(int reduced, const float* core, int kept_out, int kept) const;

private:
    int channels_;
    std::vector<double> points_, weights_;  // weights: in channels
};

}  // namespace bench
