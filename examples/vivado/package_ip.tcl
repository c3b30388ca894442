# Package the core as an IP for Vivado's IP Integrator. NOT RUN HERE: no Vivado was at hand.
#
#   hqdm verilog --config n16 -o core.v
#   vivado -mode batch -source examples/vivado/package_ip.tcl -tclargs core.v ip_repo
#
# The bus interfaces are mapped port by port: the core's names have a double underscore
# (m_axi_load__araddr), which Vivado's inference does not look for.

if {$argc != 2} {
    puts stderr "package_ip.tcl: wanted -tclargs VERILOG FOLDER, got $argc arguments"
    exit 2
}
lassign $argv verilog folder
set version 1.0
set buses {s_axil slave  m_axi_load master  m_axi_weight master  m_axi_store master}

# the top module is called after the configuration; what hqdm writes beside the Verilog names it
set sidecar [open $verilog.json]
if {![regexp {"top": "([A-Za-z0-9_]+)"} [read $sidecar] -> top]} {
    puts stderr "package_ip.tcl: wanted the name of the top module in $verilog.json, found none"
    exit 2
}
close $sidecar

create_project -in_memory -part xczu7ev-ffvc1156-2-e
read_verilog $verilog
set_property top $top [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $folder -vendor hqdm -library accelerators -taxonomy /UserIP \
    -import_files -set_current true
set core [ipx::current_core]
set_property -dict [list name $top version $version display_name "HQ-DM accelerator" \
    description "4-bit latent-diffusion accelerator"] $core

# what inference made of the ports is replaced
foreach interface [ipx::get_bus_interfaces -of_objects $core] {
    ipx::remove_bus_interface [get_property NAME $interface] $core
}

foreach {name mode} $buses {
    set interface [ipx::add_bus_interface $name $core]
    set_property abstraction_type_vlnv xilinx.com:interface:aximm_rtl:1.0 $interface
    set_property bus_type_vlnv xilinx.com:interface:aximm:1.0 $interface
    set_property interface_mode $mode $interface
    foreach port [ipx::get_ports -of_objects $core] {
        set physical [get_property NAME $port]
        if {[string first "${name}__" $physical] == 0} {
            set logical [string toupper [string range $physical [string length "${name}__"] end]]
            set map [ipx::add_port_map $logical $interface]
            set_property physical_name $physical $map
        }
    }
    ipx::associate_bus_interfaces -busif $name -clock aclk $core
}

set clock [ipx::add_bus_interface aclk $core]
set_property abstraction_type_vlnv xilinx.com:signal:clock_rtl:1.0 $clock
set_property bus_type_vlnv xilinx.com:signal:clock:1.0 $clock
set_property physical_name aclk [ipx::add_port_map CLK $clock]
set_property value s_axil:m_axi_load:m_axi_weight:m_axi_store \
    [ipx::add_bus_parameter ASSOCIATED_BUSIF $clock]
set_property value aresetn [ipx::add_bus_parameter ASSOCIATED_RESET $clock]

set reset [ipx::add_bus_interface aresetn $core]
set_property abstraction_type_vlnv xilinx.com:signal:reset_rtl:1.0 $reset
set_property bus_type_vlnv xilinx.com:signal:reset:1.0 $reset
set_property physical_name aresetn [ipx::add_port_map RST $reset]
set_property value ACTIVE_LOW [ipx::add_bus_parameter POLARITY $reset]

set interrupt [ipx::add_bus_interface interrupt $core]
set_property abstraction_type_vlnv xilinx.com:signal:interrupt_rtl:1.0 $interrupt
set_property bus_type_vlnv xilinx.com:signal:interrupt:1.0 $interrupt
set_property interface_mode master $interrupt
set_property physical_name interrupt [ipx::add_port_map INTERRUPT $interrupt]
set_property value LEVEL_HIGH [ipx::add_bus_parameter SENSITIVITY $interrupt]

# registers: one block of 256 bytes, in the smallest range AXI systems map
set map [ipx::add_memory_map s_axil $core]
set block [ipx::add_address_block registers $map]
set_property -dict [list range 4096 width 32 usage register] $block
set_property slave_memory_map_ref s_axil [ipx::get_bus_interfaces s_axil -of_objects $core]
foreach name {m_axi_load m_axi_weight m_axi_store} {
    set space [ipx::add_address_space $name $core]
    set_property -dict [list range 4G width 32] $space
    set_property master_address_space_ref $name [ipx::get_bus_interfaces $name -of_objects $core]
}

ipx::create_xgui_files $core
ipx::check_integrity $core
ipx::update_checksums $core
ipx::save_core $core
