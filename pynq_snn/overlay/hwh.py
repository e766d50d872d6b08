"""Write ``pynq_snn.hwh``, by which pynq knows the overlay, without Vivado.

python -m pynq_snn.overlay.hwh [FOLDER]      # after changing layout.py or block_design.py, or building a bitstream

The registers come from `pynq_snn.layout`, everything around them from `pynq_snn.overlay.block_design`, and the clock
from the manifest of the bitstream in the same folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from pynq_snn import layout
from pynq_snn.layout import BitField, Register
from pynq_snn.overlay import block_design
from pynq_snn.overlay.files import MANIFEST_NAME, overlay_folder, read_manifest

HWH_NAME = f"{block_design.DESIGN}.hwh"
_AXI_VLNV = "xilinx.com:interface:aximm:1.0"
_ACCESS = {"control": "read-write", "in": "read-write", "out": "read-only"}
_CLOCKS = 4  # of the processing system; the design uses FCLK0

# Signal, its width (0: that of the data), and whether the master drives it. Channels: ar, r, aw, w, b.
_Signals = tuple[tuple[str, int, bool], ...]
_READ_LITE: _Signals = (
    ("ARADDR", 32, True), ("ARVALID", 1, True), ("ARREADY", 1, False), ("RDATA", 0, False), ("RRESP", 2, False),
    ("RVALID", 1, False), ("RREADY", 1, True),
)  # fmt: skip
_WRITE_LITE: _Signals = (
    ("AWADDR", 32, True), ("AWVALID", 1, True), ("AWREADY", 1, False), ("WDATA", 0, True), ("WSTRB", -8, True),
    ("WVALID", 1, True), ("WREADY", 1, False), ("BRESP", 2, False), ("BVALID", 1, False), ("BREADY", 1, True),
)  # fmt: skip
_READ_BURST: _Signals = (
    ("ARLEN", 4, True), ("ARSIZE", 3, True), ("ARBURST", 2, True), ("ARCACHE", 4, True), ("ARPROT", 3, True),
    ("ARID", 6, True), ("RLAST", 1, False), ("RID", 6, False),
)  # fmt: skip
_WRITE_BURST: _Signals = (
    ("AWLEN", 4, True), ("AWSIZE", 3, True), ("AWBURST", 2, True), ("AWCACHE", 4, True), ("AWPROT", 3, True),
    ("AWID", 6, True), ("WLAST", 1, True), ("WID", 6, True), ("BID", 6, False),
)  # fmt: skip


class _Module:
    """One box of the diagram."""

    def __init__(self, modules: Element, name: str, vlnv: str, kind: str, *, in_fabric: bool) -> None:
        vendor, library, module_type, version = vlnv.split(":")
        self.name = name
        self.element = SubElement(
            modules, "MODULE", COREREVISION="0", FULLNAME=f"/{name}", HWVERSION=version, INSTANCE=name, IPTYPE=kind,
            IS_ENABLE="1", IS_PL=str(in_fabric).upper(), MODCLASS=kind, MODTYPE=module_type, VLNV=vlnv,
        )  # fmt: skip
        self.addresses = SubElement(self.element, "ADDRESSBLOCKS")
        self.parameters = SubElement(self.element, "PARAMETERS")
        self.ports = SubElement(self.element, "PORTS")
        self.interfaces = SubElement(self.element, "BUSINTERFACES")
        self.memory_map = SubElement(self.element, "MEMORYMAP")

    def parameter(self, name: str, value: object) -> None:
        SubElement(self.parameters, "PARAMETER", NAME=name, VALUE=str(value))

    def port(self, name: str, width: int, *, drives: bool, signal: str, peer: tuple[str, str], **kind: str) -> None:
        """Add a wire or bus; `peer` is the instance and port at its other end."""
        attributes = {"DIR": "O" if drives else "I", "NAME": name, "SIGIS": kind.get("sigis", "undef"),
                      "SIGNAME": signal}  # fmt: skip
        if width > 1 or kind.get("vector"):
            attributes |= {"LEFT": str(width - 1), "RIGHT": "0"}
        element = SubElement(self.ports, "PORT", attributes)
        connections = SubElement(element, "CONNECTIONS")
        SubElement(connections, "CONNECTION", INSTANCE=peer[0], PORT=peer[1])

    def memory_range(self, block: str, base: int, size: int, instance: str, master: str, slave: str, kind: str) -> None:
        SubElement(
            self.memory_map, "MEMRANGE", ADDRESSBLOCK=block, BASENAME="C_BASEADDR", BASEVALUE=f"0x{base:08X}",
            HIGHNAME="C_HIGHADDR", HIGHVALUE=f"0x{base + size - 1:08X}", INSTANCE=instance, IS_DATA="TRUE",
            IS_INSTRUCTION="TRUE", MASTERBUSINTERFACE=master, MEMTYPE=kind, SLAVEBUSINTERFACE=slave,
        )  # fmt: skip


def _connect_wire(
    driver: _Module, driver_port: str, reader: _Module, reader_port: str, sigis: str, vector: str = ""
) -> None:
    signal = f"{driver.name}_{driver_port}"
    kind = {"sigis": sigis}
    for module, port, drives, peer, wide in (
        (driver, driver_port, True, (reader.name, reader_port), ""),
        (reader, reader_port, False, (driver.name, driver_port), vector),
    ):
        module.port(port, 1, drives=drives, signal=signal, peer=peer, vector=wide, **kind)


def _connect_bus(
    master: _Module, master_port: str, slave: _Module, slave_port: str, bits: int, protocol: str, writes: bool
) -> None:
    """Add an AXI interface to both ends; the processing system's wires have capital letters, as Vivado writes them."""
    signals = _READ_LITE if protocol == "AXI4LITE" else _READ_LITE + _READ_BURST
    if writes:
        signals += _WRITE_LITE if protocol == "AXI4LITE" else _WRITE_LITE + _WRITE_BURST
    ends = ((master, master_port, slave, slave_port, "MASTER"), (slave, slave_port, master, master_port, "SLAVE"))
    for module, port, peer, peer_port, role in ends:
        interface = SubElement(
            module.interfaces, "BUSINTERFACE", BUSNAME=f"{master.name}_{master_port}", DATAWIDTH=str(bits), NAME=port,
            TYPE=role, VLNV=_AXI_VLNV,
        )  # fmt: skip
        for name, value in (
            ("DATA_WIDTH", bits),
            ("PROTOCOL", protocol),
            ("READ_WRITE_MODE", "READ_WRITE" if writes else "READ_ONLY"),
        ):
            SubElement(interface, "PARAMETER", NAME=name, VALUE=str(value))
        maps = SubElement(interface, "PORTMAPS")
        for logical, declared, from_master in signals:
            width = bits if declared == 0 else bits // 8 if declared < 0 else declared
            physical = _wire(port, logical)
            module.port(
                physical, width, drives=from_master == (role == "MASTER"),
                signal=f"{master.name}_{_wire(master_port, logical)}", peer=(peer.name, _wire(peer_port, logical)),
            )  # fmt: skip
            SubElement(maps, "PORTMAP", LOGICAL=logical, PHYSICAL=physical)


def _wire(port: str, logical: str) -> str:
    return f"{port}_{logical if port.isupper() else logical.lower()}"


# --- the two modules --------------------------------------------------------------------------------------------------


def _add_registers(core: _Module) -> None:
    block = SubElement(
        core.addresses, "ADDRESSBLOCK", ACCESS="read-write", INTERFACE="s_axi", NAME="Reg",
        RANGE=str(block_design.REGISTER_RANGE), USAGE="register",
    )  # fmt: skip
    registers = SubElement(block, "REGISTERS")
    for register in layout.REGISTERS:
        _add_register(registers, register)


def _add_register(registers: Element, register: Register) -> None:
    access = _ACCESS[register.direction]
    element = SubElement(registers, "REGISTER", NAME=register.name)
    _add_properties(
        element, DESCRIPTION=register.note, ADDRESS_OFFSET=register.offset, SIZE=register.bits, ACCESS=access,
        IS_ENABLED="true", RESET_VALUE=0,
    )  # fmt: skip
    fields = SubElement(element, "FIELDS")
    for field in register.fields or (BitField(register.name, 0, register.note, register.bits),):
        part = SubElement(fields, "FIELD", NAME=field.name)
        _add_properties(part, DESCRIPTION=field.note, BIT_OFFSET=field.bit, BIT_WIDTH=field.bits, ACCESS=access)


def _add_properties(element: Element, **properties: object) -> None:
    for name, value in properties.items():
        SubElement(element, "PROPERTY", NAME=name, VALUE=str(value))


def _add_system_parameters(system: _Module, clock_mhz: float) -> None:
    first, second = block_design.clock_divisors(clock_mhz)
    for index in range(_CLOCKS):
        used = index == 0
        system.parameter(f"PCW_FCLK{index}_PERIPHERAL_CLKSRC", "IO PLL")
        system.parameter(f"PCW_FCLK{index}_PERIPHERAL_DIVISOR0", first if used else 1)
        system.parameter(f"PCW_FCLK{index}_PERIPHERAL_DIVISOR1", second if used else 1)
        system.parameter(f"PCW_FPGA_FCLK{index}_ENABLE", int(used))
    system.parameter("PCW_FPGA0_PERIPHERAL_FREQMHZ", f"{clock_mhz:.6f}")
    system.parameter("PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ", f"{block_design.CLOCK_SOURCE_MHZ / (first * second):.6f}")
    system.parameter(f"PCW_USE_{block_design.REGISTER_PORT}", 1)
    for port in block_design.MEMORY_PORTS:
        system.parameter(f"PCW_USE_{port.system_port}", 1)
        system.parameter(f"PCW_{port.system_port}_DATA_WIDTH", block_design.MEMORY_PORT_BITS)
        system.parameter(f"C_{port.system_port}_DATA_WIDTH", block_design.MEMORY_PORT_BITS)
    system.parameter("PCW_USE_FABRIC_INTERRUPT", 1)
    system.parameter("PCW_IRQ_F2P_INTR", 1)
    system.parameter("C_NUM_F2P_INTR_INPUTS", 1)


def _connect(core: _Module, system: _Module) -> None:
    _connect_wire(system, "FCLK_CLK0", core, "clk", "clk")
    _connect_wire(system, "FCLK_RESET0_N", core, "resetn", "rst")
    _connect_wire(core, block_design.INTERRUPT_PIN, system, "IRQ_F2P", "INTERRUPT", vector="true")
    _connect_bus(system, block_design.REGISTER_PORT, core, "s_axi", 32, "AXI4LITE", writes=True)
    system.memory_range(
        "Reg", block_design.REGISTER_ADDRESS, block_design.REGISTER_RANGE, core.name, block_design.REGISTER_PORT,
        "s_axi", "REGISTER",
    )  # fmt: skip
    for port in block_design.MEMORY_PORTS:
        bits = block_design.MEMORY_PORT_BITS
        _connect_bus(core, port.core_port, system, port.system_port, bits, "AXI3", port.writes)
        core.parameter(f"C_{port.core_port.upper()}_DATA_WIDTH", bits)
        block = f"{port.system_port.removeprefix('S_AXI_')}_DDR_LOWOCM"
        core.memory_range(
            block, 0, block_design.MEMORY_BYTES, system.name, port.core_port, port.system_port, "MEMORY"
        )  # fmt: skip


def hwh_text(clock_mhz: float) -> str:
    """Return the text of ``pynq_snn.hwh``.

    Parameters
    ----------
    clock_mhz : float
        FCLK0 in MHz; the fastest clock below it that the processing system can make is written.

    Raises
    ------
    ValueError
        There is no such clock.
    """
    root = Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="", VIVADOVERSION="none")
    SubElement(
        root, "SYSTEMINFO", ARCH="zynq", BOARD=block_design.BOARD, DEVICE=block_design.DEVICE, NAME=block_design.DESIGN,
        PACKAGE=block_design.PACKAGE, SPEEDGRADE=block_design.SPEED_GRADE,
    )  # fmt: skip
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    core = _Module(modules, block_design.CORE, block_design.CORE_VLNV, "PERIPHERAL", in_fabric=True)
    system = _Module(
        modules, block_design.PROCESSING_SYSTEM, block_design.PROCESSING_SYSTEM_VLNV, "PROCESSOR", in_fabric=False
    )
    core.parameter("LAYOUT_VERSION", layout.LAYOUT_VERSION)
    core.parameter("C_S_AXI_DATA_WIDTH", 32)
    _add_registers(core)
    _add_system_parameters(system, clock_mhz)
    _connect(core, system)
    ElementTree.indent(root)
    notice = "<!-- Generated by pynq_snn.overlay.hwh from layout.py and block_design.py; do not edit. -->"
    declaration = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>'
    return f"{declaration}\n{notice}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def current_clock_mhz(folder: Path) -> float:
    """Return the clock of the bitstream in `folder`, or a default where there is none."""
    manifest = folder / MANIFEST_NAME
    return read_manifest(manifest).clock_mhz if manifest.exists() else block_design.DEFAULT_CLOCK_MHZ


def main() -> None:
    """Write the file into the folder that the command line names, by default that of the overlay."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else overlay_folder()
    path = folder / HWH_NAME
    path.write_text(hwh_text(current_clock_mhz(folder)), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
