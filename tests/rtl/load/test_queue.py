"""The chunk queue: order, latency, and what happens when nobody takes the chunks."""

import random

from amaranth.sim import Simulator

from hqdm.rtl.load.queue import ChunkQueue


def run(bench):
    dut = ChunkQueue()
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, dut)

    sim.add_testbench(testbench)
    sim.run()


async def push(ctx, dut, rows):
    ctx.set(dut.i, {"rows": rows, "words": 7 * rows & 0xFFFF, "final": rows & 1})
    ctx.set(dut.i_valid, 1)
    await ctx.tick()
    ctx.set(dut.i_valid, 0)


def test_chunks_come_out_in_order():
    async def bench(ctx, dut):
        rng = random.Random(1)
        sent = taken = 0
        for _ in range(2000):
            offered = sent < 300 and not ctx.get(dut.full) and rng.random() < 0.4
            if offered:
                ctx.set(dut.i, {"rows": sent, "words": 7 * sent & 0xFFFF, "final": sent & 1})
            ctx.set(dut.i_valid, offered)
            take = ctx.get(dut.valid) and rng.random() < 0.6
            ctx.set(dut.next, take)
            if take:
                chunk = ctx.get(dut.chunk)
                assert (chunk.rows, chunk.words, chunk.final) == (taken, 7 * taken, taken & 1)
            await ctx.tick()
            sent, taken = sent + offered, taken + take
        assert sent == taken == 300

    run(bench)


def test_latency_in_and_after_next():
    async def bench(ctx, dut):
        async def wait():
            cycles = 1
            while not ctx.get(dut.valid):
                await ctx.tick()
                cycles += 1
            return cycles

        await push(ctx, dut, 1)
        assert await wait() == ChunkQueue.latency
        await push(ctx, dut, 2)
        ctx.set(dut.next, 1)
        await ctx.tick()
        ctx.set(dut.next, 0)
        assert await wait() == ChunkQueue.latency
        assert ctx.get(dut.chunk).rows == 2

    run(bench)


def test_full_leaves_room_and_loses_nothing():
    async def bench(ctx, dut):
        sent = 0
        while not ctx.get(dut.full):
            await push(ctx, dut, sent)
            sent += 1
        assert sent > 400
        await push(ctx, dut, sent)      # one that was on its way
        for want in range(sent + 1):
            while not ctx.get(dut.valid):
                await ctx.tick()
            assert ctx.get(dut.chunk).rows == want
            ctx.set(dut.next, 1)
            await ctx.tick()
            ctx.set(dut.next, 0)
        assert not ctx.get(dut.full)

    run(bench)
