"""Real numbers and ranges to the integers of every layer: exponents, multipliers, shifts."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.parameters import MAX_MULTIPLIER, Parameters
from hqdm.golden.stages import LayerParameters
from hqdm.learn.calibration.approximate import exp2, exponent, scales, whole
from hqdm.learn.calibration.normalise import group_normalisation, row_normalisation, static_affine
from hqdm.learn.calibration.quantisers import bounds, probability_steps
from hqdm.learn.calibration.ranges import Ranges
from hqdm.learn.calibration.real import RealLayer, RealNetwork
from hqdm.spec import Layer, Network, Node
from hqdm.spec.fixed import CARRIER, MAX_SHIFT, MID_BITS, RESIDUAL_SHIFT, symmetric_max
from hqdm.spec.stages import RECIPROCAL_BITS, TABLE_EXPONENT, Table

UNIT = 1 << 15      # M of a product: 1, as 2**15 with a shift of 15


def integer_network(real: RealNetwork, ranges: Ranges) -> IntegerNetwork:
    """The integer network of a quantised one.

    Raises
    ------
    ValueError: steps that are missing, or a scale that no multiplier holds.
    """
    network = _with_tables(real.network, ranges)
    exponents = tensor_exponents(network, ranges)
    layers = []
    for index, (node, layer) in enumerate(zip(network.nodes, real.layers, strict=True)):
        layers.append(_layer(_Maker(index, node, layer, ranges, exponents)))
    return IntegerNetwork(network=network, layers=tuple(layers),
                          input_exponent=exponents[network.input])


def _layer(maker: "_Maker") -> LayerParameters:
    """Made and checked; errors name the layer."""
    try:
        parameters = maker.make()
        parameters.check(maker.layer)
    except ValueError as error:
        raise ValueError(f"{maker.layer.name}: {error}") from error
    return parameters


def _widened(table: Table, largest: float) -> Table:
    """The table at the default exponent, or at a lower one if its argument needs the range."""
    if table.function == "exp":
        return table
    f = exponent(largest, 1.1, TABLE_EXPONENT)
    return replace(table, in_exponent=f, out_exponent=f)


def _with_tables(network: Network, ranges: Ranges) -> Network:
    """The network with tables wide enough for what was seen at any timestep."""
    nodes = []
    for index, node in enumerate(network.nodes):
        load, store = node.layer.load, node.layer.store
        if load.stages.table is not None and load.stages.row != "softmax":
            table = _widened(load.stages.table, float(ranges.of(index, "affine").max()))
            load = replace(load, stages=replace(load.stages, table=table))
        if store.stages.gate is not None:
            table = _widened(store.stages.gate, float(ranges.of(index, "gate").max()))
            store = replace(store, stages=replace(store.stages, gate=table))
        nodes.append(replace(node, layer=replace(node.layer, load=load, store=store)))
    return replace(network, nodes=tuple(nodes))


def tensor_exponents(network: Network, ranges: Ranges) -> dict[str, Tensor]:
    """int64 [T] of every tensor: head-room over what was seen, residuals within 15 bits."""
    def table(index: int) -> Tensor:
        return torch.tensor([exponent(float(v)) for v in ranges.of(index, "output")])

    exponents = {network.input: table(-1)}
    for index, node in enumerate(network.nodes):
        exponents[node.output] = table(index)
        gate = node.layer.store.stages.gate
        if gate is not None:
            most = gate.out_exponent + hidden_exponent(index, ranges)
            exponents[node.output] = exponents[node.output].clamp(max=most)
    pairs = [(n.output, n.second) for n in network.nodes if n.second is not None]
    for _ in pairs:
        for output, second in pairs:
            a, b = exponents[output], exponents[second]
            exponents[output] = torch.minimum(a, b + RESIDUAL_SHIFT)
            exponents[second] = torch.minimum(b, a + RESIDUAL_SHIFT)
    return exponents


def hidden_exponent(index: int, ranges: Ranges) -> int:
    """Exponent of the gated half, the same at every timestep as M[o] has none."""
    return exponent(float(ranges.of(index, "hidden").max()))


class _Maker:
    """Makes the integers of one layer."""

    def __init__(self, index: int, node: Node, real: RealLayer, ranges: Ranges,
                 exponents: dict[str, Tensor]) -> None:
        self.index, self.node, self.real, self.ranges = index, node, real, ranges
        self.layer: Layer = node.layer
        self.sources = torch.stack([exponents[s] for s in node.sources], 1)     # [T, sources]
        self.output = exponents[node.output]
        self.second = None if node.second is None else exponents[node.second]
        self.operand = None if node.weights is None else exponents[node.weights]

    def make(self) -> LayerParameters:
        """All of it."""
        stages, product = self.layer.load.stages, self.layer.multiply.product
        prepared = self._prepared_exponent()
        guard = self._guard() if product != "none" else 0
        weight = torch.zeros(2, self.layer.timesteps, dtype=torch.int64)
        if product != "none":
            assert self.operand is not None
            weight = torch.stack(scales(exp2(-self.operand) / self._weight_steps(), 1))
        return LayerParameters(
            base=self._base(prepared, guard), source_exponents=self.sources,
            bias=self._bias(),
            row=row_normalisation(self.layer, self.real, self.sources,
                                  self.ranges.of(self.index, "row_gain"))
            if stages.row == "layer_norm" else None,
            group=group_normalisation(self.layer, self.real, self.sources, prepared,
                                      self.ranges.of(self.index, "channel_gain"))
            if stages.channel == "group_norm" else None,
            affine=static_affine(self.layer, self.real, self.sources, prepared,
                                 self._table_input(prepared))
            if stages.channel == "static" else None,
            weight_multiplier=weight[0], weight_shift=weight[1], gate_shift=self._gate_shift(),
            guard=guard if product == "mix" else 0)

    def _table_input(self, prepared: Tensor) -> Tensor:
        table = self.layer.load.stages.table
        return prepared if table is None else torch.full_like(prepared, table.in_exponent)

    def _prepared_exponent(self) -> Tensor:
        """int64 [T]: exponent of what is rotated."""
        stages = self.layer.load.stages
        if stages.table is not None:
            return torch.full_like(self.output, stages.table.out_exponent)
        if not stages.names:
            return self.sources[:, 0]
        if self.real.gamma is None:                 # alignment only
            return self.sources.amin(1)
        return torch.tensor([exponent(float(v)) for v in self.ranges.of(self.index, "affine")])

    def _guard(self) -> int:
        """Bits by which the sums of a product exceed 23."""
        limit = symmetric_max(8)
        return max(0, (limit * limit * self.layer.depth).bit_length() - (MID_BITS - 1))

    def _weight_steps(self) -> Tensor:
        steps = self.real.weight_steps
        if steps is None:
            raise ValueError(f"{self.layer.name}: wanted steps of the second operand, got none")
        return steps

    def _steps(self) -> Tensor:
        """Steps of the activation, float64 [T]."""
        if self.layer.multiply.product == "mix":
            return probability_steps(self.real)
        if self.real.steps is None:
            raise ValueError(f"{self.layer.name}: wanted steps of the activation, got none")
        return self.real.steps

    def _channel_exponents(self) -> Tensor:
        """int64 [O]: fixed exponents of the two halves of a gated layer, else 0."""
        out, gate = self.layer.multiply.out_channels, self.layer.store.stages.gate
        if gate is None:
            return torch.zeros(out, dtype=torch.int64)
        halves = (hidden_exponent(self.index, self.ranges), gate.in_exponent)
        return torch.tensor(halves).repeat_interleave(out // 2)

    def _step_exponents(self) -> Tensor:
        """int64 [T]: exponent of y before gate and residual, less that of the channel."""
        return torch.zeros_like(self.output) if self.layer.store.stages.gate else self.output

    def _requantiser(self, guard: int) -> tuple[Tensor, int, Tensor, Tensor]:
        """(M [O], S1, Mt [T], St [T])."""
        out = exp2(self._step_exponents())
        if self.layer.multiply.product != "none":
            ones = torch.full((self.layer.multiply.out_channels,), UNIT)
            factor = self._weight_steps() * self.real.gain * out
            factor = factor * (2.0 ** -RECIPROCAL_BITS if self.layer.multiply.product == "mix"
                               else self._steps() * 2.0 ** guard)
            return ones, 15 + guard, *scales(factor)
        assert self.real.scale is not None
        per_channel = self.real.scale * exp2(self._channel_exponents())
        top = float(per_channel.max())
        multipliers = whole(per_channel / top * MAX_MULTIPLIER, 1, MAX_MULTIPLIER)
        per_step = top / MAX_MULTIPLIER * self._steps() * 2.0 ** -self.layer.load.order * out
        # fewer than half a carrier step per unit of mid
        shift = math.floor(math.log2(0.499 / float(per_step.max())))
        shift = max(0, min(MAX_SHIFT, shift))
        return multipliers, shift, *scales(per_step * 2.0 ** shift)

    def _base(self, prepared: Tensor, guard: int) -> Parameters:
        load = scales(exp2(-prepared) / self._steps(), 1)
        multipliers, channel_shift, step_multiplier, step_shift = self._requantiser(guard)
        weights = self.real.integers
        low, high = bounds(self.real, self.layer.load)
        zero = torch.zeros_like(self.output)
        return Parameters(
            weights=torch.zeros(0, dtype=torch.int16) if weights is None else weights,
            load_multiplier=load[0], load_shift=load[1], load_low=low, load_high=high,
            multipliers=multipliers,
            channel_shift=channel_shift, step_multiplier=step_multiplier, step_shift=step_shift,
            bias=self._bias()[:, 0],
            residual_shift=zero if self.second is None else self.second - self.output,
            source_exponent=prepared, output_exponent=self.output)

    def _bias(self) -> Tensor:
        """int16 [T, K, O] in the exponents y has before gate and residual."""
        steps = exp2(self._step_exponents())[:, None, None]
        bias = self.real.bias * steps * exp2(self._channel_exponents())
        return whole(bias, CARRIER.low, CARRIER.high).to(torch.int16)

    def _gate_shift(self) -> Tensor:
        gate = self.layer.store.stages.gate
        if gate is None:
            return torch.zeros_like(self.output)
        return gate.out_exponent + hidden_exponent(self.index, self.ranges) - self.output
