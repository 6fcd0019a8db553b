// JSON lines on standard output, one object a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// A tensor's name, and its extents without a batch axis.
struct NamedShape {
    std::string name;
    std::vector<int64_t> extents;
};

// One event under construction. Strings become valid JSON whatever bytes they hold.
class Event {
public:
    explicit Event(const char* name);
    Event& text(const char* key, const std::string& value);
    Event& number(const char* key, int64_t value);
    Event& numbers(const char* key, const std::vector<int64_t>& values);
    Event& texts(const char* key, const std::vector<std::string>& values);
    Event& shapes(const char* key, const std::vector<NamedShape>& values);

    // Writes the line; it may stay in the buffer until flush(). Throws Failure(write_failed).
    void send();

private:
    void key(const char* name);
    std::string line_;
};

// Hands everything sent so far to the system. Throws Failure(write_failed).
void flush_events();

// From now on this process, which is a part of another one, prints nothing when it ends in an emergency: the message goes
// into `text` instead, cut to `room` bytes with a null at the end.
void keep_emergencies_in(char* text, size_t room);

// Writes an error event and the end event with nothing but system calls, from any thread or signal handler, and leaves.
[[noreturn]] void end_in_emergency(int exit_status, const char* kind, const char* message);

}  // namespace bench
