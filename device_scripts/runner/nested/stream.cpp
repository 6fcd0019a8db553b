#include "nested/stream.h"

#include <cstring>

#include "nested/substitute.h"

namespace bench {

std::unique_ptr<NestedStream> NestedStream::open(const Job& job, Graph& graph, const WeightsSource* before) {
    const auto* stream = dynamic_cast<const NestedStream*>(before);
    const bool same = stream != nullptr && stream->package_->path() == job.weights;
    auto package = same ? stream->package_ : std::make_shared<NestedPackage>(job.weights);
    const int count = package->head().capacities(), capacity = job.capacity == 0 ? count : job.capacity;
    if (capacity > count) {
        throw Failure(Exit::bad_job, "capacity = " + std::to_string(capacity) + ": the network has " + std::to_string(count));
    }
    package->hold(capacity);
    graph.text = at_capacity(graph.text, package->head().substitutions(), capacity, package->path());
    return std::make_unique<NestedStream>(std::move(package), job.mode == Mode::switching);
}

void NestedStream::serve(void* buffer, size_t size) {
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_weights, package_->path() + ": " + why); };
    const std::vector<NestedTensor>& tensors = package_->head().tensors();
    if (next_ == tensors.size()) refuse("the graph asks for more than its " + std::to_string(tensors.size()) + " tensors");
    const NestedTensor& tensor = tensors[next_];
    if (tensor.typed && !typed_) {
        constexpr uint32_t kFloat32 = 0;  // ModelBin::load type 0: float32 values follow
        if (size != sizeof kFloat32) refuse("tensor " + std::to_string(next_) + " gives weights where the graph asks for a vector");
        std::memcpy(buffer, &kFloat32, sizeof kFloat32);
        typed_ = true;
        return;
    }
    const uint64_t values = package_->head().size(tensor, package_->held());
    if (size % sizeof(float) != 0 || size / sizeof(float) != values) {
        refuse("tensor " + std::to_string(next_) + " gives " + std::to_string(values) + " values where the graph asks for " +
               std::to_string(size / sizeof(float)));
    }
    package_->assemble(next_, static_cast<float*>(buffer));
    typed_ = false;
    if (++next_ == tensors.size() && !keeps_) package_->hold(0);
}

std::string NestedStream::left_over() const {
    const size_t count = package_->head().tensors().size();
    if (next_ == count) return "";
    return package_->path() + ": the graph uses " + std::to_string(next_) + " of its " + std::to_string(count) + " tensors";
}

}  // namespace bench
