#include "picture/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "contract/failure.h"
#include "picture/container.h"

namespace bench {
namespace {

constexpr int kMostExtent = 65536;
constexpr size_t kLongestNumber = 40;

[[noreturn]] void refuse(const std::string& why) { throw Failure(Exit::bad_job, "preprocess: " + why); }

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == by) {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

// The fields in their order: each `name=value`, one blank between them.
class Fields {
public:
    explicit Fields(const std::string& text) : parts_(split(text, ' ')) {}

    std::string next(const std::string& name) {
        if (at_ == parts_.size() || parts_[at_].rfind(name + "=", 0) != 0) refuse("the field " + name + " is missing, or out of its place");
        return parts_[at_++].substr(name.size() + 1);
    }
    void expect_end() const {
        if (at_ != parts_.size()) refuse("a field too many: " + parts_[at_]);
    }

private:
    std::vector<std::string> parts_;
    size_t at_ = 0;
};

int extent(const std::string& text) {
    int value = 0;
    if (text.empty() || text.size() > 5) refuse("'" + text + "' is not an extent");
    for (const char c : text) {
        if (c < '0' || c > '9') refuse("'" + text + "' is not an extent");
        value = value * 10 + (c - '0');
    }
    if (value < 1 || value > kMostExtent) refuse("the extent " + text + " is not between 1 and 65536");
    return value;
}

// A decimal number: digits, perhaps a sign, a point among them, an exponent.
double number(const std::string& text) {
    size_t at = text.rfind('-', 0) == 0 ? 1 : 0, digits = 0;
    const auto run = [&] {
        const size_t before = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') at++;
        return at - before;
    };
    digits = run();
    if (at < text.size() && text[at] == '.') {
        at++;
        digits += run();
    }
    bool good = digits > 0;
    if (at < text.size() && text[at] == 'e') {
        at++;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) at++;
        good = good && run() > 0;
    }
    const double value = good && at == text.size() && text.size() <= kLongestNumber ? std::strtod(text.c_str(), nullptr) : NAN;
    if (!std::isfinite(value)) refuse("'" + text + "' is not a finite decimal number");
    return value;
}

std::vector<double> numbers(const std::string& text, const char* name, size_t channels) {
    std::vector<double> found;
    for (const std::string& one : split(text, ',')) found.push_back(number(one));
    if (found.size() != 1 && (found.size() != 3 || channels != 3))
        refuse(std::string(name) + " has neither one number nor one for each channel");
    return found;
}

template <typename T>
T choice(const std::string& name, const std::string& value, std::initializer_list<std::pair<const char*, T>> choices) {
    std::string known;
    for (const auto& [word, meaning] : choices) {
        if (value == word) return meaning;
        known += (known.empty() ? "" : ", ") + std::string(word);
    }
    refuse(name + "=" + value + ": none of " + known);
}

// Pillow's conversion to L (ITU-R 601), in 16 bits.
Picture grey(const Picture& picture) {
    Picture made{picture.height, picture.width, 1, {}};
    made.values.resize(picture.values.size() / 3);
    for (size_t i = 0; i < made.values.size(); i++) {
        const uint8_t* at = &picture.values[3 * i];
        made.values[i] = static_cast<uint8_t>((at[0] * 19595u + at[1] * 38470u + at[2] * 7471u + 0x8000u) >> 16);
    }
    return made;
}

Picture coloured(const Picture& picture) {
    Picture made{picture.height, picture.width, 3, {}};
    made.values.reserve(3 * picture.values.size());
    for (const uint8_t value : picture.values) made.values.insert(made.values.end(), 3, value);
    return made;
}

Picture cropped(const Picture& picture, int top, int left, int height, int width) {
    Picture made{height, width, picture.channels, {}};
    const auto channels = static_cast<size_t>(picture.channels);
    made.values.reserve(static_cast<size_t>(height) * static_cast<size_t>(width) * channels);
    for (int y = top; y < top + height; y++) {
        const auto first = (static_cast<size_t>(y) * static_cast<size_t>(picture.width) + static_cast<size_t>(left)) * channels;
        const auto begin = picture.values.begin() + static_cast<std::ptrdiff_t>(first);
        made.values.insert(made.values.end(), begin, begin + static_cast<std::ptrdiff_t>(static_cast<size_t>(width) * channels));
    }
    return made;
}

// As Python divides whole numbers, and cuts.
int64_t scaled(int64_t side, int64_t by, int64_t over) {
    return static_cast<int64_t>(static_cast<double>(side * by) / static_cast<double>(over));
}

}  // namespace

Preprocess parse_preprocess(const std::string& text) {
    Fields fields(text);
    Preprocess made;
    const std::vector<std::string> to = split(fields.next("to"), 'x');
    if (to.size() != 3) refuse("to is not of the form CHANNELSxHEIGHTxWIDTH");
    made.channels_out = extent(to[0]);
    made.height = extent(to[1]);
    made.width = extent(to[2]);
    made.resize = choice<Preprocess::Resize>(
        "resize", fields.next("resize"),
        {{"shorter", Preprocess::Resize::shorter}, {"exact", Preprocess::Resize::exact}, {"none", Preprocess::Resize::none}});
    if (const std::string size = fields.next("size"); size != "network") {
        const std::vector<std::string> sides = split(size, 'x');
        if (sides.size() > 2) refuse("size=" + size + ": neither network, SIDE nor HEIGHTxWIDTH");
        made.size_height = extent(sides.front());
        made.size_width = extent(sides.back());
        if (made.resize == Preprocess::Resize::none) refuse("a size has no meaning with resize=none");
        if (made.resize == Preprocess::Resize::shorter && sides.size() == 2) refuse("the size of resize=shorter is one number");
    }
    made.filter = choice<Filter>(
        "filter", fields.next("filter"),
        {{"nearest", Filter::nearest}, {"bilinear", Filter::bilinear}, {"bicubic", Filter::bicubic}, {"lanczos", Filter::lanczos}});
    made.crop = choice<bool>("crop", fields.next("crop"), {{"yes", true}, {"no", false}});
    made.channels = choice<Preprocess::Channels>(
        "channels", fields.next("channels"),
        {{"rgb", Preprocess::Channels::rgb}, {"bgr", Preprocess::Channels::bgr}, {"grey", Preprocess::Channels::grey}});
    const bool is_grey = made.channels == Preprocess::Channels::grey;
    if (made.channels_out != (is_grey ? 1 : 3)) refuse("an input of other than one channel for grey, or three for rgb and bgr");
    if (static_cast<uint64_t>(made.height) * static_cast<uint64_t>(made.width) * (is_grey ? 1 : 3) > kMostPixels) {
        refuse("an input of more than 2^26 values");
    }
    made.scale = number(fields.next("scale"));
    made.mean = numbers(fields.next("mean"), "mean", static_cast<size_t>(made.channels_out));
    made.deviation = numbers(fields.next("deviation"), "deviation", static_cast<size_t>(made.channels_out));
    fields.expect_end();
    if (made.scale <= 0 || std::any_of(made.deviation.begin(), made.deviation.end(), [](double one) { return one <= 0; })) {
        refuse("scale and deviation are above 0");
    }
    return made;
}

Picture Preprocess::fitted(const Picture& picture) const {
    const bool is_grey = channels == Channels::grey;
    Picture shown = is_grey == (picture.channels == 1) ? picture : is_grey ? grey(picture) : coloured(picture);
    const int64_t have_height = picture.height, have_width = picture.width;
    int64_t to_height = height, to_width = width;
    if (resize == Resize::none) {
        to_height = have_height;
        to_width = have_width;
    } else if (size_height != 0 && resize == Resize::exact) {
        to_height = size_height;
        to_width = size_width;
    } else if (size_height != 0) {
        const int64_t longer = scaled(size_height, std::max(have_height, have_width), std::min(have_height, have_width));
        to_height = have_height <= have_width ? size_height : longer;
        to_width = have_height <= have_width ? longer : size_height;
    } else if (resize == Resize::shorter) {
        // The side that is relatively shorter becomes the network's; the other is cut.
        if (have_height * width <= have_width * height) {
            to_width = std::max<int64_t>(width, scaled(height, have_width, have_height));
        } else {
            to_height = std::max<int64_t>(height, scaled(width, have_height, have_width));
        }
    }
    const auto words = [](int64_t high, int64_t wide) { return std::to_string(high) + "×" + std::to_string(wide); };
    if (static_cast<uint64_t>(to_height) * static_cast<uint64_t>(to_width) > kMostPixels) {
        throw Failure(Exit::unsupported, "a picture of " + words(have_height, have_width) + " pixels would be " +
                                             words(to_height, to_width) + " after resizing; at most 2^26 are computed");
    }
    if (to_height != have_height || to_width != have_width) {
        shown = resampled(shown, static_cast<int>(to_height), static_cast<int>(to_width), filter);
    }
    if (to_height == height && to_width == width) return shown;
    if (!crop || to_height < height || to_width < width) {
        throw Failure(Exit::unsupported, "a picture is " + words(to_height, to_width) + " pixels after resizing, and the network takes " +
                                             words(height, width));
    }
    // Python's round: half of an odd number goes to the even one.
    const int top = static_cast<int>(std::nearbyint(static_cast<double>(to_height - height) / 2.0));
    const int left = static_cast<int>(std::nearbyint(static_cast<double>(to_width - width) / 2.0));
    return cropped(shown, top, left, height, width);
}

std::vector<float> Preprocess::table(int channel) const {
    const auto of = [&](const std::vector<double>& values) {
        return values.size() == 1 ? values[0] : values[static_cast<size_t>(channel)];
    };
    std::vector<float> made;
    for (int value = 0; value < 256; value++) {
        // Apart, so that no compiler makes one rounding of two.
        const volatile double product = value * scale;
        const volatile double difference = product - of(mean);
        made.push_back(static_cast<float>(difference / of(deviation)));
    }
    return made;
}

size_t Preprocess::source(int channel) const { return static_cast<size_t>(channels == Channels::bgr ? 2 - channel : channel); }

}  // namespace bench
