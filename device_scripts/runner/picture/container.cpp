#include "picture/container.h"

#include <algorithm>
#include <cstring>

#include "contract/crc32.h"
#include "contract/failure.h"

namespace bench {
namespace {

constexpr int kMostScans = 64;
constexpr size_t kMostChunks = 1u << 20;

// The bytes of a file, or a part of them; reading beyond the end is a Failure.
class Bytes {
public:
    Bytes(const uint8_t* at, size_t count, const std::string& name) : at_(at), count_(count), name_(name) {}

    [[noreturn]] void damaged(const std::string& why) const { throw Failure(Exit::bad_samples, name_ + ": " + why); }
    [[noreturn]] void refuse(const std::string& why) const { throw Failure(Exit::unsupported, name_ + ": " + why); }

    size_t count() const { return count_; }
    const uint8_t* data() const { return at_; }
    uint8_t byte(size_t at) const {
        if (at >= count_) damaged("the picture is cut short");
        return at_[at];
    }
    uint32_t big(size_t at, size_t bytes) const {
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; i++) value = value << 8 | byte(at + i);
        return value;
    }
    uint32_t little(size_t at, size_t bytes) const {
        uint32_t value = 0;
        for (size_t i = bytes; i-- > 0;) value = value << 8 | byte(at + i);
        return value;
    }
    Bytes part(size_t at, size_t count) const {
        if (at > count_ || count > count_ - at) damaged("the picture is cut short");
        return Bytes(at_ + at, count, name_);
    }
    bool begins(const char* text, size_t length) const { return count_ >= length && std::memcmp(at_, text, length) == 0; }

private:
    const uint8_t* at_;
    size_t count_;
    const std::string& name_;
};

void expect_extents(const Bytes& file, uint32_t height, uint32_t width) {
    if (height == 0 || width == 0) file.damaged("a picture without pixels");
    if (static_cast<uint64_t>(height) * width > kMostPixels) {
        file.refuse("a picture of " + std::to_string(height) + "×" + std::to_string(width) + " pixels; at most 2^26 are decoded");
    }
}

// Of a TIFF header with its first directory; 0 where it has no such tag. As Pillow, an orientation that is none means upright.
int exif_orientation(const Bytes& tiff) {
    constexpr uint32_t kOrientation = 0x0112, kByte = 1, kShort = 3, kLong = 4;
    if (tiff.count() < 8) return 0;
    const bool big = tiff.begins("MM\0*", 4);
    if (!big && !tiff.begins("II*\0", 4)) return 0;
    const auto number = [&](size_t at, size_t bytes) { return big ? tiff.big(at, bytes) : tiff.little(at, bytes); };
    const size_t directory = number(4, 4);
    if (directory > tiff.count() || tiff.count() - directory < 2) return 0;
    const size_t entries = std::min<size_t>(number(directory, 2), (tiff.count() - directory - 2) / 12);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + 12 * i;
        if (number(at, 2) != kOrientation) continue;
        const uint32_t type = number(at + 2, 2);
        if (number(at + 4, 4) != 1 || (type != kByte && type != kShort && type != kLong)) {
            tiff.refuse("an Exif orientation of an unusual type: store the picture upright");
        }
        const uint32_t value = number(at + 8, type == kByte ? 1 : type == kShort ? 2 : 4);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 0;
}

// What XMP says of it, which counts where Exif says nothing; 0 for nothing.
int xmp_orientation(const Bytes& text) {
    static const std::string kTag = "tiff:Orientation";
    const uint8_t* const end = text.data() + text.count();
    for (const uint8_t* at = text.data();; at++) {
        at = std::search(at, end, kTag.begin(), kTag.end());
        if (at == end) return 0;
        const std::string after(at + kTag.size(), std::min(end, at + kTag.size() + 3));
        const size_t digit = after.rfind("=\"", 0) == 0 ? 2 : after.rfind(">", 0) == 0 ? 1 : 3;
        if (digit < after.size() && after[digit] >= '0' && after[digit] <= '9') {
            return after[digit] >= '1' && after[digit] <= '8' ? after[digit] - '0' : 1;
        }
    }
}

Container jpeg(const Bytes& file) {
    Container found{PictureKind::jpeg, 0, 0, 1, false, false, {}};
    int scans = 0, exif = -1, xmp = 0;
    for (size_t at = 2;;) {
        if (file.byte(at) != 0xFF) file.damaged("no marker where a JPEG file has one");
        while (file.byte(at) == 0xFF) at++;
        const uint8_t marker = file.byte(at++);
        if (marker == 0xD9) break;
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) file.damaged("a marker that is out of place");
        const size_t length = file.big(at, 2);
        if (length < 2) file.damaged("a segment of a JPEG file that is shorter than its length");
        const Bytes segment = file.part(at + 2, length - 2);
        at += length;
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
            if (marker > 0xC2) file.refuse("a JPEG file that is neither baseline nor progressive");
            if (found.height != 0) file.damaged("a second frame");
            if (segment.byte(0) != 8) file.refuse("a JPEG file of more than 8 bits");
            const int components = segment.byte(5);
            if (components != 1 && components != 3) file.refuse("a JPEG file that is neither grey nor of three colours: store it as RGB");
            expect_extents(file, segment.big(1, 2), segment.big(3, 2));
            found.height = static_cast<int>(segment.big(1, 2));
            found.width = static_cast<int>(segment.big(3, 2));
        } else if (marker == 0xE1 && segment.begins("Exif\0\0", 6) && exif < 0) {
            exif = exif_orientation(segment.part(6, segment.count() - 6));
        } else if (marker == 0xE1 && segment.begins("http://ns.adobe.com/xap/1.0/", 29)) {
            xmp = xmp_orientation(segment);
        } else if (marker == 0xDA) {
            if (found.height == 0) file.damaged("a scan before the frame");
            if (++scans > kMostScans) file.refuse("a JPEG file of more than " + std::to_string(kMostScans) + " scans");
            // Through what the scan codes: a 0xFF in it is followed by 0 or is a mark to restart at.
            while (file.byte(at) != 0xFF || file.byte(at + 1) == 0 || (file.byte(at + 1) >= 0xD0 && file.byte(at + 1) <= 0xD7)) at++;
        }
    }
    if (scans == 0) file.damaged("a JPEG file without a scan");
    found.orientation = exif > 0 ? exif : xmp > 0 ? xmp : 1;
    return found;
}

// The same file whose palette, the chunk at `at`, has 256 colours.
std::vector<uint8_t> with_whole_palette(const Bytes& file, size_t at, size_t length) {
    constexpr size_t kWhole = 3 * 256;
    const uint8_t* const begin = file.data();
    std::vector<uint8_t> made(begin, begin + at);
    const uint8_t head[] = {0, 0, kWhole >> 8, kWhole & 0xFF, 'P', 'L', 'T', 'E'};
    made.insert(made.end(), head, head + sizeof head);
    made.insert(made.end(), begin + at + 8, begin + at + 8 + length);
    made.resize(made.size() + kWhole - length, 0);
    const uint32_t crc = crc32(made.data() + at + 4, 4 + kWhole);
    for (int shift = 24; shift >= 0; shift -= 8) made.push_back(static_cast<uint8_t>(crc >> shift));
    made.insert(made.end(), begin + at + 12 + length, begin + file.count());
    return made;
}

Container png(const Bytes& file) {
    Container found{PictureKind::png, 0, 0, 1, false, false, {}};
    int exif = 0, xmp = 0;
    bool profile = false, pixels = false;
    size_t palette = 0, colours = 0, at = 8;
    for (size_t number = 0;; number++) {
        if (number == kMostChunks) file.refuse("a PNG file of more than 2^20 chunks");
        const size_t length = file.big(at, 4);
        const Bytes chunk = file.part(at + 4, 4).part(0, 4), body = file.part(at + 8, length);
        const auto is = [&](const char* name) { return chunk.begins(name, 4); };
        if (crc32(chunk.data(), 4 + length) != file.big(at + 8 + length, 4)) file.damaged("a check sum of its PNG chunks is wrong");
        if ((number == 0) != is("IHDR")) file.damaged("a PNG file that does not begin with its one header");
        if (is("IHDR")) {
            if (length != 13) file.damaged("a PNG header of another length");
            if (body.big(0, 4) > INT32_MAX || body.big(4, 4) > INT32_MAX) file.damaged("a PNG header with an impossible size");
            expect_extents(file, body.big(4, 4), body.big(0, 4));
            found.width = static_cast<int>(body.big(0, 4));
            found.height = static_cast<int>(body.big(4, 4));
            found.deep_grey = body.byte(8) == 16 && body.byte(9) == 0;
            palette = body.byte(9) == 3 ? 1 : 0;
        } else if (is("CgBI")) {
            file.refuse("a PNG file in Apple's own form");
        } else if (is("PLTE") && palette == 1) {
            if (length == 0 || length % 3 != 0 || length > 768) file.damaged("a palette of an impossible length");
            palette = at;
            colours = length;
        } else if (is("IDAT")) {
            pixels = true;
        } else if (is("eXIf")) {
            exif = exif_orientation(body);
        } else if ((is("tEXt") || is("zTXt") || is("iTXt")) && body.begins("Raw profile type exif", 22)) {
            profile = true;
        } else if (is("iTXt") && body.begins("XML:com.adobe.xmp", 18)) {
            if (body.count() > 18 && body.byte(18) != 0) file.refuse("a PNG file with compressed XMP, which may say how it is turned");
            xmp = xmp_orientation(body);
        } else if (is("IEND")) {
            break;
        }
        at += 12 + length;
    }
    if (!pixels) file.damaged("a PNG file without pixels");
    if (palette == 1) file.damaged("a PNG file without its palette");
    if (exif == 0 && profile) file.refuse("a PNG file with Exif in a text, which may say how it is turned");
    found.orientation = exif > 0 ? exif : xmp > 0 ? xmp : 1;
    if (palette > 1 && colours < 768) found.completed = with_whole_palette(file, palette, colours);
    return found;
}

Container bmp(const Bytes& file) {
    const uint32_t header = file.little(14, 4), bits = file.little(28, 2), offset = file.little(10, 4);
    if (header != 40 && header != 108 && header != 124) file.refuse("a BMP file with an unusual header");
    const bool palette = bits == 8;
    if (file.little(30, 4) != 0 || (bits != 24 && bits != 32 && !palette)) {
        file.refuse("a BMP file that is compressed, or has other than 8, 24 or 32 bits a pixel");
    }
    if (offset != 14 + header + (palette ? 1024 : 0)) file.refuse("a BMP file with something between its header and its pixels");
    const auto width = static_cast<int32_t>(file.little(18, 4)), height = static_cast<int32_t>(file.little(22, 4));
    if (width <= 0 || height == 0 || height == INT32_MIN) file.damaged("a BMP header with an impossible size");
    const auto rows = static_cast<uint32_t>(height < 0 ? -height : height);
    expect_extents(file, rows, static_cast<uint32_t>(width));
    const uint64_t row = (static_cast<uint64_t>(width) * bits / 8 + 3) / 4 * 4;
    if (file.count() - offset < row * rows) file.damaged("the picture is cut short");
    bool grey = palette;
    for (size_t i = 0; grey && i < 256; i++) {
        const uint32_t colour = file.little(14 + header + 4 * i, 3);
        grey = colour == i * 0x010101u;
    }
    return {PictureKind::bmp, static_cast<int>(rows), width, 1, false, grey, {}};
}

}  // namespace

Container inspect(const uint8_t* bytes, size_t count, const std::string& name) {
    const Bytes file(bytes, count, name);
    if (count > kMostPictureBytes) file.refuse("a picture file of more than 2^28 bytes");
    if (file.begins("\xFF\xD8\xFF", 3)) return jpeg(file);
    if (file.begins("\x89PNG\r\n\x1A\n", 8)) return png(file);
    if (file.begins("BM", 2)) return bmp(file);
    file.refuse("neither a JPEG, a PNG nor a BMP file");
}

}  // namespace bench
