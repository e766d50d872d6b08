# The overlay with Vivado 2022.1 to 2024.1, for a faster clock than the open tools can vouch for:
#
#     cd overlays/vivado && vivado -mode batch -source build.tcl [-tclargs MHZ]
#
# Packages the RTL of the core as an IP block, draws the block design around it, and leaves pynq_snn.bit, pynq_snn.hwh and the
# reports of timing and utilisation in overlays/vivado/out. The clock is 100 MHz unless another is given.
#
# Written after the Vivado documentation. No Vivado was at hand to run it: neither this script nor its result has been tried.
# The bitstream that this project ships is built with open tools instead (overlays/Makefile).

set part xc7z020clg400-1
set here [file normalize [file dirname [info script]]]
set work [file join $here build]
set out [file join $here out]
set clock_mhz 100
if {[llength $argv] > 0} {
    set clock_mhz [lindex $argv 0]
}

set version [version -short]
if {![regexp {^(2022\.[12]|2023\.[12]|2024\.1)} $version]} {
    puts "warning: this script is written for Vivado 2022.1 to 2024.1, this is $version"
}

set rtl [file normalize [file join $here .. rtl]]
# Packages before what uses them. snn_overlay and its bridge are not part of the core: the block design takes their place.
set sources {}
foreach pattern {*_pkg.sv *.sv} {
    foreach file [lsort [glob -directory $rtl $pattern]] {
        set name [file tail $file]
        if {$name ni {snn_overlay.sv axi_lite_bridge.sv axi_slice.sv} && $file ni $sources} {
            lappend sources $file
        }
    }
}
lappend sources [file join $here snn_core_ip.v]

# By this word the driver recognises the build.
set build_hash [string trim [exec python3 -c "import sys; sys.path.insert(0, sys.argv\[1\])
from overlays.flow.sources import build_hash, rtl_hashes
print('%08x' % build_hash(rtl_hashes()))" [file normalize [file join $here .. ..]]]]
puts "build hash $build_hash"

file delete -force $work $out
file mkdir $work $out

# ---- the core as an IP block

create_project -part $part package_core [file join $work package_core]
add_files -norecurse $sources
set_property top snn_core_ip [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir [file join $work ip] -vendor pynq-snn -library snn -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name snn_core $core
set_property version 1.0 $core
set_property display_name {pynq-snn core} $core
set_property description {Spiking neural network accelerator of pynq-snn} $core
ipx::infer_bus_interfaces xilinx.com:interface:aximm_rtl:1.0 $core
foreach bus {s_axi m0_axi m1_axi} {
    ipx::associate_bus_interfaces -busif $bus -clock clk $core
}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project

# ---- the block design

create_project -part $part pynq_snn [file join $work project]
set_property ip_repo_paths [file join $work ip] [current_project]
update_ip_catalog
create_bd_design pynq_snn

set system [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 processing_system7_0]
# Memory and pins of the processing system are set up by the board's own boot files, not by this design.
set_property -dict [list \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 \
    CONFIG.PCW_USE_S_AXI_HP1 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 \
    CONFIG.PCW_S_AXI_HP1_DATA_WIDTH 64 \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
    CONFIG.PCW_IRQ_F2P_INTR 1 \
    CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ 50 \
    CONFIG.PCW_UIPARAM_DDR_PARTNO {MT41J256M16 RE-125} \
    CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit} \
] $system
set snn [create_bd_cell -type ip -vlnv pynq-snn:snn:snn_core:1.0 snn]
set_property CONFIG.BUILD_HASH 0x$build_hash $snn
set converter [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_protocol_converter:2.1 registers]
set_property -dict {CONFIG.SI_PROTOCOL AXI3 CONFIG.MI_PROTOCOL AXI4LITE CONFIG.TRANSLATION_MODE 2} $converter
set resets [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset]

make_bd_intf_pins_external -name DDR [get_bd_intf_pins processing_system7_0/DDR]
make_bd_intf_pins_external -name FIXED_IO [get_bd_intf_pins processing_system7_0/FIXED_IO]
connect_bd_intf_net [get_bd_intf_pins processing_system7_0/M_AXI_GP0] [get_bd_intf_pins registers/S_AXI]
connect_bd_intf_net [get_bd_intf_pins registers/M_AXI] [get_bd_intf_pins snn/s_axi]
connect_bd_intf_net [get_bd_intf_pins snn/m0_axi] [get_bd_intf_pins processing_system7_0/S_AXI_HP0]
connect_bd_intf_net [get_bd_intf_pins snn/m1_axi] [get_bd_intf_pins processing_system7_0/S_AXI_HP1]
connect_bd_net [get_bd_pins processing_system7_0/FCLK_CLK0] \
    [get_bd_pins processing_system7_0/M_AXI_GP0_ACLK] \
    [get_bd_pins processing_system7_0/S_AXI_HP0_ACLK] \
    [get_bd_pins processing_system7_0/S_AXI_HP1_ACLK] \
    [get_bd_pins registers/aclk] \
    [get_bd_pins reset/slowest_sync_clk] \
    [get_bd_pins snn/clk]
connect_bd_net [get_bd_pins processing_system7_0/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins registers/aresetn] [get_bd_pins snn/resetn]
connect_bd_net [get_bd_pins snn/interrupt] [get_bd_pins processing_system7_0/IRQ_F2P]

assign_bd_address -offset 0x43C00000 -range 64K -target_address_space [get_bd_addr_spaces processing_system7_0/Data] \
    [get_bd_addr_segs snn/s_axi/reg0]
foreach {master port segment} {m0_axi S_AXI_HP0 HP0_DDR_LOWOCM m1_axi S_AXI_HP1 HP1_DDR_LOWOCM} {
    assign_bd_address -offset 0x00000000 -range 512M -target_address_space [get_bd_addr_spaces snn/$master] \
        [get_bd_addr_segs processing_system7_0/$port/$segment]
}
validate_bd_design
save_bd_design

# ---- bitstream

set design [get_files pynq_snn.bd]
generate_target all $design
add_files -norecurse [make_wrapper -files $design -top]
set_property top pynq_snn_wrapper [current_fileset]
update_compile_order -fileset sources_1
set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    error "implementation failed: look at the log of impl_1 in $work/project"
}
open_run impl_1
report_timing_summary -file [file join $out timing.rpt]
report_utilization -hierarchical -file [file join $out utilisation.rpt]
set slack [get_property SLACK [get_timing_paths -max_paths 1 -setup]]
if {$slack < 0} {
    error "timing is missed by [expr {-$slack}] ns at $clock_mhz MHz: give a slower clock with -tclargs"
}
file copy -force [file join $work project pynq_snn.runs impl_1 pynq_snn_wrapper.bit] [file join $out pynq_snn.bit]
file copy -force [file join $work project pynq_snn.gen sources_1 bd pynq_snn hw_handoff pynq_snn.hwh] \
    [file join $out pynq_snn.hwh]
puts "pynq_snn.bit and pynq_snn.hwh at $clock_mhz MHz, slack $slack ns, are in $out"
