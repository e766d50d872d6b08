# Builds the core as an IP block with Vitis HLS 2022.1 to 2023.1:
#
#     cd hls/vitis && vitis_hls -f run_hls.tcl
#
# Written after the Vitis HLS documentation. No Vitis was at hand to run it: neither this script nor the timing and size
# of its result has been tried. The bitstream that this project ships is built from overlays/rtl instead.

set include_flags "-std=c++17 -I[file normalize ..]"
# 32 KiB: a line buffer that leaves room on an xc7z020 beside the weight memory.
set core_flags "$include_flags"

open_project -reset snn_core
set_top snn_core
add_files ../snn_core.cpp -cflags $core_flags
add_files -tb ../host_interface.cpp -cflags $core_flags
foreach source {main hand_cases random_cases error_cases} {
    add_files -tb ../csim/$source.cpp -cflags $include_flags
}

open_solution -reset -flow_target vivado solution
set_part xc7z020clg400-1
create_clock -period 10 -name default
config_interface -m_axi_addr64 -m_axi_alignment_byte_size 64 -m_axi_max_widen_bitwidth 64

csim_design -ldflags "-pthread"
csynth_design
export_design -format ip_catalog -display_name "pynq-snn core" -version 1.0
exit
