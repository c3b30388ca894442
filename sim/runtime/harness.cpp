// C interface to one Verilated core and its memory. Built by sim/runtime/build.py, used through
// sim/runtime/device.py. All calls on one device must come from one thread at a time.
#include <exception>
#include <memory>
#include <new>
#include <type_traits>

#include "Vcore.h"
#include "ports.hpp"
#include "verilated.h"

// Verilator writes the double underscore of a port name as ___05F.
#define PIN(port, signal) port##___05F##signal
#define BIND_ADDRESS(pins, port, x)                                                             \
    pins.id.bind(top->PIN(port, x##id)), pins.addr.bind(top->PIN(port, x##addr)),               \
        pins.len.bind(top->PIN(port, x##len)), pins.size.bind(top->PIN(port, x##size)),         \
        pins.burst.bind(top->PIN(port, x##burst)), pins.valid.bind(top->PIN(port, x##valid)),   \
        pins.ready.bind(top->PIN(port, x##ready))
#define BIND_READ(half, port)                                                                   \
    BIND_ADDRESS(half.pins.ar, port, ar);                                                       \
    half.pins.id.bind(top->PIN(port, rid)), half.pins.resp.bind(top->PIN(port, rresp)),         \
        half.pins.last.bind(top->PIN(port, rlast)), half.pins.valid.bind(top->PIN(port, rvalid)), \
        half.pins.ready.bind(top->PIN(port, rready)), half.pins.data = &top->PIN(port, rdata)
#define BIND_WRITE(half, port)                                                                  \
    BIND_ADDRESS(half.pins.aw, port, aw);                                                       \
    half.pins.strb.bind(top->PIN(port, wstrb)), half.pins.last.bind(top->PIN(port, wlast)),     \
        half.pins.wvalid.bind(top->PIN(port, wvalid)),                                          \
        half.pins.wready.bind(top->PIN(port, wready)), half.pins.id.bind(top->PIN(port, bid)),  \
        half.pins.resp.bind(top->PIN(port, bresp)), half.pins.bvalid.bind(top->PIN(port, bvalid)), \
        half.pins.bready.bind(top->PIN(port, bready)), half.pins.data = &top->PIN(port, wdata)

namespace {
constexpr unsigned BUS_BYTES = sizeof(std::remove_reference_t<decltype(Vcore::PIN(m_axi_load, rdata))>);
enum Port { LOAD, WEIGHT, STORE, PORTS };

struct Device {
    VerilatedContext context;
    std::unique_ptr<Vcore> top;
    Memory memory;
    std::vector<std::string> violations;
    ReadPort load{memory, LOAD, BUS_BYTES, "m_axi_load", violations};
    ReadPort weight{memory, WEIGHT, BUS_BYTES, "m_axi_weight", violations};
    ReadPort store_read{memory, STORE, BUS_BYTES, "m_axi_store read", violations};
    WritePort store_write{memory, STORE, BUS_BYTES, "m_axi_store write", violations};
    ReadPort* reads[PORTS] = {&load, &weight, &store_read};

    explicit Device(uint64_t size) : top(new Vcore(&context, "")), memory(size) {
        BIND_READ(load, m_axi_load);
        BIND_READ(weight, m_axi_weight);
        BIND_READ(store_read, m_axi_store);
        BIND_WRITE(store_write, m_axi_store);
    }
    ~Device() { top->final(); }

    bool interrupt() const { return top->__SYM__interrupt; }    // Verilator's name for it

    void edge() {
        top->aclk = 1;
        top->eval();
    }
    void settle() {
        top->aclk = 0;
        top->eval();
        memory.cycle++;
    }
    void tick() {
        load.sample(), weight.sample(), store_read.sample(), store_write.sample();
        edge();
        memory.bandwidth.cycle();
        // the port that is served first changes every cycle, so that none starves
        for (unsigned i = 0; i < 4; i++) switch ((memory.cycle + i) % 4) {
            case 0: load.drive(); break;
            case 1: weight.drive(); break;
            case 2: store_read.drive(); break;
            default: store_write.drive();
        }
        settle();
    }
    void reset(unsigned cycles) {
        for (ReadPort* port : reads) port->reset();
        store_write.reset();
        top->PIN(s_axil, awvalid) = top->PIN(s_axil, wvalid) = top->PIN(s_axil, arvalid) = 0;
        top->PIN(s_axil, bready) = top->PIN(s_axil, rready) = 0;
        top->aresetn = 0;
        for (unsigned i = 0; i < cycles; i++) edge(), settle();
        for (ReadPort* port : reads) port->check_reset();
        store_write.check_reset();
        top->aresetn = 1;
        top->eval();
    }
    // Both return the response, or -1 after `limit` cycles without an answer.
    int write_register(unsigned address, uint32_t value, unsigned limit) {
        top->PIN(s_axil, awaddr) = address, top->PIN(s_axil, awprot) = 0;
        top->PIN(s_axil, wdata) = value, top->PIN(s_axil, wstrb) = 15;
        top->PIN(s_axil, awvalid) = top->PIN(s_axil, wvalid) = top->PIN(s_axil, bready) = 1;
        top->eval();
        int response = -1;
        while (limit-- && response < 0) {
            const bool aw = top->PIN(s_axil, awvalid) && top->PIN(s_axil, awready);
            const bool w = top->PIN(s_axil, wvalid) && top->PIN(s_axil, wready);
            if (top->PIN(s_axil, bvalid)) response = top->PIN(s_axil, bresp);
            tick();
            if (aw) top->PIN(s_axil, awvalid) = 0;
            if (w) top->PIN(s_axil, wvalid) = 0;
            top->eval();
        }
        top->PIN(s_axil, bready) = 0;
        top->eval();
        return response;
    }
    int read_register(unsigned address, uint32_t* value, unsigned limit) {
        top->PIN(s_axil, araddr) = address, top->PIN(s_axil, arprot) = 0;
        top->PIN(s_axil, arvalid) = top->PIN(s_axil, rready) = 1;
        top->eval();
        int response = -1;
        while (limit-- && response < 0) {
            const bool ar = top->PIN(s_axil, arvalid) && top->PIN(s_axil, arready);
            if (top->PIN(s_axil, rvalid))
                response = top->PIN(s_axil, rresp), *value = top->PIN(s_axil, rdata);
            tick();
            if (ar) top->PIN(s_axil, arvalid) = 0;
            top->eval();
        }
        top->PIN(s_axil, rready) = 0;
        top->eval();
        return response;
    }
    Half& half(unsigned port, bool write) {
        return write ? static_cast<Half&>(store_write) : *reads[port];
    }
};

// No exception leaves through the C interface, which would end the process: what happened in this
// thread is kept until hqdm_error is asked, and `failed` is returned.
thread_local std::string failure, reported;

template <typename Body>
auto guarded(std::invoke_result_t<Body> failed, Body body) -> decltype(body()) {
    try {
        return body();
    } catch (const std::bad_alloc&) {
        failure = "not enough memory";
    } catch (const std::exception& error) {
        failure = std::string("failed: ") + error.what();
    } catch (...) {
        failure = "failed";
    }
    return failed;
}
template <typename Body>
void guarded(Body body) {
    guarded(0, [&] { return body(), 0; });
}
}  // namespace

extern "C" {
const char* hqdm_error() {      // what failed since it was last asked, or null
    reported.swap(failure);
    failure.clear();
    return reported.empty() ? nullptr : reported.c_str();
}
Device* hqdm_create(uint64_t size) {
    return guarded(static_cast<Device*>(nullptr), [&] { return new Device(size); });
}
void hqdm_destroy(Device* d) {
    guarded([&] { delete d; });
}
uint8_t* hqdm_memory(Device* d) { return d->memory.bytes.data(); }
unsigned hqdm_bus_bytes() { return BUS_BYTES; }
void hqdm_reset(Device* d, unsigned cycles) {
    guarded([&] { d->reset(cycles); });
}
uint64_t hqdm_cycle(Device* d) { return d->memory.cycle; }
int hqdm_interrupt(Device* d) { return d->interrupt(); }

uint64_t hqdm_run(Device* d, uint64_t cycles, int until_interrupt) {
    return guarded(uint64_t(0), [&] {
        const uint64_t begin = d->memory.cycle, end = begin + cycles;
        while (d->memory.cycle < end && !(until_interrupt && d->interrupt())) d->tick();
        return d->memory.cycle - begin;
    });
}
int hqdm_write(Device* d, unsigned address, uint32_t value, unsigned limit) {
    return guarded(-1, [&] { return d->write_register(address, value, limit); });
}
int hqdm_read(Device* d, unsigned address, uint32_t* value, unsigned limit) {
    return guarded(-1, [&] { return d->read_register(address, value, limit); });
}
void hqdm_configure(Device* d, unsigned port, int write, uint64_t latency_min,
                    uint64_t latency_max, unsigned outstanding, const unsigned* stall) {
    Options& options = d->half(port, write).options;
    options.latency_min = latency_min, options.latency_max = latency_max;
    options.outstanding = outstanding;
    std::copy(stall, stall + 5, options.stall);
}
void hqdm_bandwidth(Device* d, uint64_t numerator, uint64_t denominator) {
    d->memory.bandwidth.set(numerator, denominator, BUS_BYTES);
}
void hqdm_seed(Device* d, uint64_t seed) { d->memory.random.seed(seed); }
void hqdm_inject(Device* d, unsigned port, int write, uint64_t low, uint64_t high, unsigned response) {
    guarded([&] { d->memory.faults.push_back({port, write != 0, low, high, response}); });
}
void hqdm_clear_faults(Device* d) { d->memory.faults.clear(); }
void hqdm_statistics(Device* d, unsigned port, int write, uint64_t* values) {
    const Half& half = d->half(port, write);
    values[0] = half.statistics.bursts, values[1] = half.statistics.beats;
    values[2] = write ? d->store_write.pending() : d->reads[port]->pending();
}
uint64_t hqdm_violations(Device* d) { return d->violations.size(); }
const char* hqdm_violation(Device* d, uint64_t index) {
    return index < d->violations.size() ? d->violations[index].c_str() : nullptr;
}
}
