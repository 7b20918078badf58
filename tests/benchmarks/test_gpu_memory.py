"""The memory estimate against what runs on an H200 measured: benchmarks/results/gpu.md."""

import pytest

from benchmarks.gpu.cases import Case
from pretrain_api.estimates.estimate import estimate
from pretrain_api.estimates.plan import plan_of_job

MEASURED = [
    # size, sequence length, sequences, format, ZeRO, recomputation, micro-batches, compiled, max_memory_allocated
    ("124m", 1024, 16, "bf16", 1, "none", 4, False, 11_175_186_432),
    ("1.3b", 2048, 8, "bf16", 1, "none", 2, False, 66_671_853_568),
    ("124m", 1024, 16, "bf16", 1, "none", 4, True, 9_071_415_296),
    ("1.3b", 2048, 8, "bf16", 1, "none", 2, True, 55_833_234_432),
    ("124m", 1024, 16, "bf16", 1, "selective", 4, False, 11_100_762_112),
    ("1.3b", 2048, 8, "bf16", 1, "selective", 2, False, 66_646_649_856),
    ("1.3b", 2048, 8, "bf16", 1, "selective", 2, True, 54_197_968_896),
    ("124m", 1024, 16, "bf16", 1, "full", 4, False, 4_532_707_328),
    ("1.3b", 2048, 8, "bf16", 1, "full", 2, False, 32_014_251_008),
    ("1.3b", 2048, 8, "bf16", 1, "full", 2, True, 31_544_519_680),
    ("350m", 2048, 8, "bf16", 1, "none", 1, True, 21_603_463_680),
    ("124m", 1024, 16, "fp16", 1, "none", 4, False, 11_109_114_880),
    ("124m", 1024, 16, "fp32", 0, "none", 4, False, 15_994_909_696),
    ("124m", 1024, 16, "tf32", 1, "none", 4, False, 17_931_280_896),
    ("1.3b", 2048, 8, "fp16", 1, "none", 2, False, 61_756_712_960),
    ("350m", 2048, 8, "bf16", 0, "none", 2, False, 26_476_744_704),
    ("350m", 2048, 8, "bf16", 1, "none", 2, False, 27_933_293_568),
    ("350m", 2048, 8, "bf16", 2, "none", 2, False, 27_097_383_936),
    ("350m", 2048, 8, "bf16", 1, "selective", 1, False, 27_047_659_008),
    ("350m", 2048, 8, "bf16", 1, "full", 1, False, 10_739_180_544),
    ("350m", 8192, 2, "bf16", 1, "none", 1, False, 27_077_568_000),
    ("350m", 2048, 8, "fp16", 2, "none", 1, False, 25_449_806_336),
    ("1.3b", 2048, 1, "bf16", 2, "none", 1, False, 31_492_234_240),
    ("2.7b", 2048, 2, "bf16", 1, "full", 1, False, 61_591_081_984),
    ("2.7b", 2048, 2, "bf16", 2, "selective", 1, False, 67_009_087_488),
    ("350m", 2048, 8, "bf16", 3, "none", 2, False, 27_472_636_928),
    ("1.3b", 2048, 4, "bf16", 3, "none", 1, False, 45_625_308_160),
]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: " ".join(map(str, row[:-1])))
def test_the_estimate_is_within_ten_per_cent(row: tuple[str, int, int, str, int, str, int, bool, int]) -> None:
    size, length, sequences, precision, zero, recompute, micro_batches, compiled, peak = row
    case = Case(size, length, sequences, micro_batches, precision, zero, recompute, compiled)
    estimated = estimate(plan_of_job(case.job())).chosen.memory.total
    assert estimated == pytest.approx(peak, rel=0.1)
