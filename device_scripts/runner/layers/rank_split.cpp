#include "layers/rank_split.h"

namespace bench {
namespace {

class RankSplit : public ncnn::Layer {
public:
    RankSplit() { one_blob_only = false; }

    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option&) const override {
        if (bottoms.size() != 1) return -1;
        for (ncnn::Mat& top : tops) top = bottoms[0];
        return 0;
    }
};

}  // namespace

ncnn::Layer* make_rank_split(void*) { return new RankSplit; }

}  // namespace bench
