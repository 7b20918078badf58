"""Accelerators: peak rates of dense arithmetic, memory, links. Figures of the makers' data sheets."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One accelerator and its place in a usual machine."""

    name: str
    peak_bf16_flops_per_second: float
    """Without sparsity; FP16 where there is no BF16 unit."""
    peak_tf32_flops_per_second: float
    peak_fp32_flops_per_second: float
    memory_bytes: float
    """As the driver reports it: what a process can have."""
    link_bytes_per_second: float
    """To the other accelerators of the machine, one direction."""
    network_bytes_per_second: float
    """To other machines, one direction: one network adapter an accelerator, of the usual kind."""
    per_machine: int = 8

    def peak_flops_per_second(self, precision: str) -> float:
        """Return the peak rate in a number format: bf16, fp16, tf32 or fp32."""
        return {"tf32": self.peak_tf32_flops_per_second, "fp32": self.peak_fp32_flops_per_second}.get(
            precision, self.peak_bf16_flops_per_second
        )


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("b200", 2250e12, 1100e12, 75e12, 178 * GIB, 900e9, 50e9),
        Device("h200", 989e12, 494e12, 67e12, 139 * GIB, 450e9, 50e9),
        Device("h100", 989e12, 494e12, 67e12, 79 * GIB, 450e9, 50e9),
        Device("a100-80gb", 312e12, 156e12, 19.5e12, 79 * GIB, 300e9, 25e9),
        Device("a100-40gb", 312e12, 156e12, 19.5e12, 39 * GIB, 300e9, 25e9),
        Device("v100-32gb", 125e12, 15.7e12, 15.7e12, 31 * GIB, 150e9, 12.5e9),
        Device("l40s", 362e12, 183e12, 91.6e12, 44 * GIB, 32e9, 25e9),
        Device("mi300x", 1307e12, 653e12, 163e12, 191 * GIB, 448e9, 50e9),
    )
}
DEFAULT_DEVICE = "h100"
