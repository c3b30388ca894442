// The memory behind the ports: bytes, faults, bandwidth, random numbers.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

enum Response : unsigned { OKAY = 0, SLVERR = 2, DECERR = 3 };

// xorshift64*
class Random {
    uint64_t state = 1;

public:
    void seed(uint64_t value) { state = value * 0x9E3779B97F4A7C15u | 1; }
    uint64_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545F4914F6CDD1Du >> 16;
    }
    bool chance(unsigned per_mille) { return per_mille && next() % 1000 < per_mille; }
    uint64_t between(uint64_t low, uint64_t high) {
        return low == high ? low : low + next() % (high - low + 1);
    }
};

// Bytes that may move per cycle over all ports, as a token bucket: every cycle adds
// `numerator`, a byte costs `denominator`. Unlimited while the numerator is 0.
class Bandwidth {
    uint64_t numerator = 0, denominator = 1, level = 0, limit = 0;

public:
    void set(uint64_t num, uint64_t den, unsigned beat_bytes) {
        numerator = num, denominator = den, level = 0;
        limit = num + den * beat_bytes;
    }
    void cycle() {
        if (numerator && (level += numerator) > limit) level = limit;
    }
    bool take(unsigned bytes) {
        if (!numerator) return true;
        if (level < bytes * denominator) return false;
        level -= bytes * denominator;
        return true;
    }
};

// An address range [low, high) that answers with an error on one port and direction.
struct Fault {
    unsigned port;
    bool write;
    uint64_t low, high;
    unsigned response;
};

// Zeros that take room when they are first touched; throws std::bad_alloc where there is none.
class Bytes {
    std::unique_ptr<uint8_t, decltype(&std::free)> start;
    uint64_t length;

public:
    explicit Bytes(uint64_t size)
        : start(static_cast<uint8_t*>(std::calloc(size, 1)), &std::free), length(size) {
        if (!start) throw std::bad_alloc();
    }
    uint8_t* data() const { return start.get(); }
    uint64_t size() const { return length; }
    uint8_t& operator[](uint64_t at) const { return start.get()[at]; }
};

class Memory {
    static constexpr uint64_t POISON = 0xDEADBEEFDEADBEEFu;    // what a faulty read returns

public:
    Bytes bytes;
    std::vector<Fault> faults;
    Bandwidth bandwidth;
    Random random;
    uint64_t cycle = 0;

    explicit Memory(uint64_t size) : bytes(size) {}

    unsigned response(unsigned port, bool write, uint64_t address, unsigned size) const {
        if (address > bytes.size() || bytes.size() - address < size) return DECERR;
        for (const Fault& fault : faults)
            if (fault.port == port && fault.write == write && address + size > fault.low &&
                address < fault.high)
                return fault.response;
        return OKAY;
    }
    void read(uint64_t address, void* to, unsigned size, unsigned status) const {
        if (status == OKAY) {
            std::memcpy(to, &bytes[address], size);
        } else {
            for (unsigned i = 0; i < size; i += 4)
                std::memcpy(static_cast<uint8_t*>(to) + i, &POISON, 4);
        }
    }
    void write(uint64_t address, const uint8_t* from, uint64_t strobe, unsigned size) {
        for (unsigned i = 0; i < size; i++)
            if (strobe >> i & 1) bytes[address + i] = from[i];
    }
};
