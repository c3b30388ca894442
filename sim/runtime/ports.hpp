// AXI4 slave models of one read port and one write port, with protocol checks on the master.
//
// Every signal is a register of the model: `sample` looks at the settled pins just before the
// rising edge and notes the handshakes, `drive` sets the pins the master sees after it.
#pragma once
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "memory.hpp"

constexpr uint64_t PAGE = 4096;
constexpr unsigned MAX_BEATS = 16, INCR = 1;
constexpr size_t MAX_EARLY_BEATS = 256;    // W beats that may run ahead of their AW

// A pin of the model, at most 64 bits wide.
struct Pin {
    void* at = nullptr;
    unsigned size = 0;

    template <typename T> void bind(T& pin) { at = &pin, size = sizeof(T); }
    uint64_t get() const {
        uint64_t value = 0;
        std::memcpy(&value, at, size);
        return value;
    }
    void set(uint64_t value) { std::memcpy(at, &value, size); }
    bool high() const { return *static_cast<uint8_t*>(at); }
    void level(bool value) { *static_cast<uint8_t*>(at) = value; }
};

// Pins of AR or AW.
struct AddressPins {
    Pin id, addr, len, size, burst, valid, ready;
};
struct ReadPins {
    AddressPins ar;
    Pin id, resp, last, valid, ready;
    void* data;
};
struct WritePins {
    AddressPins aw;
    Pin strb, last, wvalid, wready, id, resp, bvalid, bready;
    void* data;
};

struct Options {
    uint64_t latency_min = 1, latency_max = 1;    // cycles
    unsigned outstanding = 0;                     // bursts in flight, 0 = unlimited
    unsigned stall[5] = {};                       // per mille: ar, r, aw, w, b
};
enum Channel { AR, R, AW, W, B };

struct Statistics {
    uint64_t bursts = 0, beats = 0;
};

struct Burst {
    uint64_t address, due;
    unsigned length, beat, response;
};

// What the read and the write half of a port share: checks and the address channel.
class Half {
protected:
    Memory& memory;
    const unsigned port, bytes;
    std::string name;
    std::vector<std::string>& violations;
    bool waiting = false;     // address valid without ready in the last cycle
    uint64_t last[5] = {};    // its payload

    void violation(const std::string& text) {
        if (violations.size() < 100)
            violations.push_back("cycle " + std::to_string(memory.cycle) + " " + name + ": " + text);
    }
    void check_burst(const uint64_t* p) {
        const uint64_t address = p[0], length = p[1] + 1;
        if (p[3] != INCR) violation("wanted an INCR burst, got type " + std::to_string(p[3]));
        if (1u << p[2] != bytes) violation("wanted full beats, got size " + std::to_string(p[2]));
        if (address % bytes) violation("unaligned address " + std::to_string(address));
        if (length > MAX_BEATS) violation("burst of " + std::to_string(length) + " beats");
        if (p[4]) violation("wanted ID 0, got " + std::to_string(p[4]));
        if (address / PAGE != (address + length * bytes - 1) / PAGE)
            violation("burst at " + std::to_string(address) + " crosses a 4 KB boundary");
    }
    // True, with the payload in `last`, when an address is taken.
    bool sample_address(const AddressPins& pins) {
        const bool valid = pins.valid.high();
        if (!valid) {
            if (waiting) violation("address valid dropped before ready");
            return waiting = false;
        }
        const uint64_t now[5] = {pins.addr.get(), pins.len.get(), pins.size.get(),
                                 pins.burst.get(), pins.id.get()};
        if (waiting && !std::equal(now, now + 5, last))
            violation("address changed while valid waited for ready");
        std::copy(now, now + 5, last);
        waiting = !pins.ready.high();
        if (waiting) return false;
        check_burst(last);
        statistics.bursts++;
        return true;
    }
    uint64_t due() { return memory.cycle + memory.random.between(options.latency_min, options.latency_max); }
    bool stalled(Channel channel) { return memory.random.chance(options.stall[channel]); }
    bool room(size_t used) const { return !options.outstanding || used < options.outstanding; }

public:
    Options options;
    Statistics statistics;

    Half(Memory& memory, unsigned port, unsigned bytes, std::string name,
         std::vector<std::string>& violations)
        : memory(memory), port(port), bytes(bytes), name(std::move(name)), violations(violations) {}
};

class ReadPort : public Half {
    std::deque<Burst> bursts;
    bool taken = false;     // a beat in this cycle

public:
    ReadPins pins;
    using Half::Half;

    size_t pending() const { return bursts.size(); }
    void reset() {
        bursts.clear();
        waiting = taken = false;
        pins.ar.ready.level(false), pins.valid.level(false);
    }
    void check_reset() {
        if (pins.ar.valid.high()) violation("arvalid high in reset");
    }
    void sample() {
        if (pins.valid.high() && pins.ready.high()) {
            statistics.beats++;
            if (pins.last.high()) bursts.pop_front();
            taken = true;
        }
        if (sample_address(pins.ar))
            bursts.push_back({last[0], due(), unsigned(last[1]) + 1, 0, OKAY});
    }
    void drive() {
        pins.ar.ready.level(room(bursts.size()) && !stalled(AR));
        if (taken) pins.valid.level(taken = false);
        if (pins.valid.high() || bursts.empty()) return;
        Burst& burst = bursts.front();
        if (burst.due > memory.cycle + 1 || stalled(R) || !memory.bandwidth.take(bytes)) return;
        const uint64_t address = burst.address + uint64_t(burst.beat++) * bytes;
        const unsigned response = memory.response(port, false, address, bytes);
        memory.read(address, pins.data, bytes, response);
        pins.id.set(0), pins.resp.set(response);
        pins.last.level(burst.beat == burst.length);
        pins.valid.level(true);
    }
};

class WritePort : public Half {
    static constexpr unsigned MAX_BYTES = 64;
    struct Beat {
        uint64_t strobe;
        bool last;
        uint8_t data[MAX_BYTES];
    };
    std::deque<Burst> bursts, answers;
    std::deque<Beat> beats;     // not yet matched with an address
    Beat held;
    bool held_waiting = false, taken = false, answered = false;

    void sample_data() {
        if (!pins.wvalid.high()) {
            if (held_waiting) violation("wvalid dropped before wready");
            held_waiting = false;
            return;
        }
        Beat now{pins.strb.get(), pins.last.high(), {}};
        std::memcpy(now.data, pins.data, bytes);
        if (held_waiting && (now.strobe != held.strobe || now.last != held.last ||
                             std::memcmp(now.data, held.data, bytes)))
            violation("write data changed while wvalid waited for wready");
        held = now;
        held_waiting = !pins.wready.high();
        if (held_waiting) return;
        taken = true;
        statistics.beats++;
        beats.push_back(now);
        if (beats.size() > MAX_EARLY_BEATS) violation("write data without an address");
    }
    void apply() {
        while (!beats.empty() && !bursts.empty()) {
            Burst& burst = bursts.front();
            const Beat& beat = beats.front();
            const uint64_t address = burst.address + uint64_t(burst.beat++) * bytes;
            const unsigned response = memory.response(port, true, address, bytes);
            burst.response = std::max(burst.response, response);
            if (response == OKAY) memory.write(address, beat.data, beat.strobe, bytes);
            if (beat.last != (burst.beat == burst.length))
                violation("wlast is " + std::to_string(beat.last) + " on beat " +
                          std::to_string(burst.beat) + " of " + std::to_string(burst.length));
            beats.pop_front();
            if (burst.beat == burst.length) {
                burst.due = due();
                answers.push_back(burst);
                bursts.pop_front();
            }
        }
    }

public:
    WritePins pins;
    using Half::Half;

    size_t pending() const { return bursts.size() + answers.size() + beats.size(); }
    void reset() {
        bursts.clear(), answers.clear(), beats.clear();
        waiting = held_waiting = taken = answered = false;
        pins.aw.ready.level(false), pins.wready.level(false), pins.bvalid.level(false);
    }
    void check_reset() {
        if (pins.aw.valid.high()) violation("awvalid high in reset");
        if (pins.wvalid.high()) violation("wvalid high in reset");
    }
    void sample() {
        if (pins.bvalid.high() && pins.bready.high()) {
            answers.pop_front();
            answered = true;
        }
        if (sample_address(pins.aw))
            bursts.push_back({last[0], 0, unsigned(last[1]) + 1, 0, OKAY});
        sample_data();
        apply();
    }
    // A beat is paid for when wready rises, and wready stays until the beat comes.
    void drive() {
        pins.aw.ready.level(room(bursts.size() + answers.size()) && !stalled(AW));
        if (taken) pins.wready.level(taken = false);
        if (!pins.wready.high())
            pins.wready.level(!stalled(W) && memory.bandwidth.take(bytes));
        if (answered) pins.bvalid.level(answered = false);
        if (pins.bvalid.high() || answers.empty()) return;
        if (answers.front().due > memory.cycle + 1 || stalled(B)) return;
        pins.id.set(0), pins.resp.set(answers.front().response);
        pins.bvalid.level(true);
    }
};
