#include "contract/events.h"

#include <unistd.h>
#include <cstdio>
#include <cstring>

#include "contract/failure.h"
#include "contract/process.h"
#include "contract/utf8.h"

namespace bench {
namespace {

char* emergency_text = nullptr;
size_t emergency_room = 0;

void append_quoted(std::string& line, const std::string& value) {
    line += '"';
    const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
    for (size_t i = 0; i < value.size();) {
        const size_t length = utf8_length(bytes + i, value.size() - i);
        if (length == 0) {
            line += "\\ufffd";
            i++;
        } else if (bytes[i] == '"' || bytes[i] == '\\') {
            line += '\\';
            line += static_cast<char>(bytes[i++]);
        } else if (bytes[i] < 0x20 || bytes[i] == 0x7F) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", bytes[i++]);
            line += code;
        } else {
            line.append(value, i, length);
            i += length;
        }
    }
    line += '"';
}

template <class T, class Append>
void append_list(std::string& line, const std::vector<T>& values, const Append& append) {
    line += '[';
    for (size_t i = 0; i < values.size(); i++) {
        if (i > 0) line += ',';
        append(line, values[i]);
    }
    line += ']';
}

void append_number(std::string& line, int64_t value) { line += std::to_string(value); }

void append_shape(std::string& line, const NamedShape& shape) {
    line += "{\"name\":";
    append_quoted(line, shape.name);
    line += ",\"shape\":";
    append_list(line, shape.extents, append_number);
    line += '}';
}

}  // namespace

Event::Event(const char* name) { text("event", name); }

void Event::key(const char* name) {
    line_ += line_.empty() ? "{\"" : ",\"";
    line_ += name;
    line_ += "\":";
}

Event& Event::text(const char* name, const std::string& value) {
    key(name);
    append_quoted(line_, value);
    return *this;
}

Event& Event::number(const char* name, int64_t value) {
    key(name);
    line_ += std::to_string(value);
    return *this;
}

Event& Event::numbers(const char* name, const std::vector<int64_t>& values) {
    key(name);
    append_list(line_, values, append_number);
    return *this;
}

Event& Event::texts(const char* name, const std::vector<std::string>& values) {
    key(name);
    append_list(line_, values, append_quoted);
    return *this;
}

Event& Event::shapes(const char* name, const std::vector<NamedShape>& values) {
    key(name);
    append_list(line_, values, append_shape);
    return *this;
}

void Event::send() {
    line_ += "}\n";
    if (std::fwrite(line_.data(), 1, line_.size(), stdout) != line_.size()) {
        throw Failure(Exit::write_failed, "standard output does not take the events");
    }
}

void flush_events() {
    if (std::fflush(stdout) != 0) throw Failure(Exit::write_failed, "standard output does not take the events");
}

void keep_emergencies_in(char* text, size_t room) {
    emergency_text = text;
    emergency_room = room;
}

void end_in_emergency(int exit_status, const char* kind, const char* message) {
    if (emergency_text) {
        std::snprintf(emergency_text, emergency_room, "%s", message);
        _exit(exit_status);
    }
    char lines[512];
    const int length = std::snprintf(lines, sizeof lines,
                                     "{\"event\":\"error\",\"kind\":\"%s\",\"message\":\"%s\"}\n"
                                     "{\"event\":\"end\",\"status\":\"error\",\"exit\":%d,\"ns\":%lld}\n",
                                     kind, message, exit_status, static_cast<long long>(ns_since_start()));
    const size_t all = static_cast<size_t>(length) < sizeof lines ? static_cast<size_t>(length) : sizeof lines - 1;
    for (size_t done = 0; done < all;) {
        const ssize_t wrote = write(STDOUT_FILENO, lines + done, all - done);
        if (wrote <= 0) break;
        done += static_cast<size_t>(wrote);
    }
    _exit(exit_status);
}

}  // namespace bench
