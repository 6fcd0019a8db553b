// The layer `RankSplit` of our own graphs: ncnn's Split, which would put the channels of a blob into packs and so copy it.
#pragma once

#include <layer.h>

namespace bench {

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_rank_split(void*);

}  // namespace bench
