"""Tests mirror the tree: tests/rtl/load/test_hadamard.py tests rtl/load/hadamard.py.

A test that belongs to no single module is named in `ACROSS`. A module without a test of its name
is named in `UNTESTED`, which may only become shorter; others' tests cover it.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("spec", "kit", "golden", "rtl", "learn", "cycles", "firmware", "fpga", "sim", "cli",
           "bench", "formal", "examples")
ACROSS = """
cli/interrupted cli/sample_rtl cli/your_own_model firmware/catalogue/configurations
firmware/device/base firmware/device/shipped formal/command formal/methods formal/properties
fpga/interrupt fuzz/files golden/store/stages imports layout learn/evaluation/sensitivity
rtl/load/hadamard_cells sim/accumulator sim/array sim/cells sim/core sim/device sim/edges
sim/estimator sim/faults sim/hadamard sim/icarus sim/layer_command sim/lint sim/quantiser
sim/random_layers sim/store wheel
"""
UNTESTED = """
bench/build_times bench/full_size bench/hadamard_adders bench/quality_cells bench/quality_report
bench/sensitivity bench/utilisation cli/device_sample cli/lower cycles/estimate cycles/groups
cycles/load cycles/machine cycles/multiply cycles/plots cycles/port cycles/reading cycles/run
cycles/store examples/ulx3s/build examples/ulx3s/memory firmware/compile/device_parameters
firmware/compile/lowering/blocks firmware/compile/lowering/builder
firmware/compile/lowering/quantised firmware/compile/network firmware/compile/program
firmware/device/host_stages firmware/device/modes firmware/device/progress
firmware/device/reproduce firmware/device/session firmware/device/transport
firmware/device/transports/emulated firmware/device/transports/nodes formal/btor formal/catalogue
formal/defects formal/engine formal/frames formal/harness formal/properties/arithmetic
formal/properties/bus formal/properties/cells formal/properties/layers formal/properties/queues
formal/properties/store formal/properties/tokens formal/properties/weights formal/reach
formal/states fpga/chart fpga/devices golden/arithmetic/exact golden/arithmetic/statistics
golden/load/prepare golden/store/bias golden/store/gate golden/store/inputs
learn/calibration/approximate learn/calibration/integers learn/calibration/normalise
learn/calibration/quantisers learn/calibration/ranges learn/calibration/real
learn/calibration/reference learn/calibration/source learn/data/pickles learn/data/sources
learn/data/tree learn/diffusion/files learn/diffusion/presets learn/evaluation/distance
learn/evaluation/inception learn/evaluation/neighbours learn/evaluation/report learn/qat/agreement
learn/qat/calibrate learn/qat/rule learn/qat/trace learn/train/autoencoder learn/train/batches
learn/train/interrupt learn/train/losses learn/train/options learn/train/report learn/train/unet
rtl/bus/burst_log rtl/core rtl/interfaces rtl/load/beat rtl/load/butterfly rtl/load/requests
rtl/load/sequence rtl/load/walk rtl/load/writer rtl/multiply/accumulator rtl/multiply/array
rtl/multiply/countdown rtl/multiply/loops rtl/multiply/operands rtl/multiply/sequencer
rtl/store/lanes rtl/store/parameters rtl/store/requests rtl/store/second sim/beats
sim/cocotb_transport sim/compare_layer sim/load_case sim/replay sim/runtime/build
sim/runtime/device sim/store_case sim/streams sim/transport sim/verilator spec/loop_nest
"""


def modules():
    """Every module, as rtl/load/hadamard."""
    return {str(path.relative_to(ROOT).with_suffix("")) for folder in FOLDERS
            for path in (ROOT / folder).rglob("*.py")
            if not path.name.startswith("__") and ROOT / "sim" / "tests" not in path.parents}


def named_by_tests():
    """What the tests are of by their names, as rtl/load/hadamard.

    Those of sim lie in sim/tests, as most run whole cores.
    """
    found = [*(p.relative_to(ROOT / "tests") for p in (ROOT / "tests").rglob("test_*.py")),
             *("sim" / p.relative_to(ROOT / "sim" / "tests")
               for p in (ROOT / "sim" / "tests").glob("test_*.py"))]
    return {str(path.parent / path.stem.removeprefix("test_")) for path in found}


def listed(names):
    return "\n".join(sorted(names))


def test_every_test_has_its_module():
    across = named_by_tests() - modules()
    assert listed(across) == listed(ACROSS.split()), f"ACROSS should be:\n{listed(across)}"


def test_modules_without_a_test_of_their_name():
    untested = modules() - named_by_tests()
    assert listed(untested) == listed(UNTESTED.split()), f"UNTESTED should be:\n{listed(untested)}"
