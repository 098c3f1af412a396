# SPDX-License-Identifier: Apache-2.0
# Each bpf/NAME.bpf.c becomes a skeleton header (bpftool gen skeleton); conntrack is built twice.
find_program(CLANG NAMES clang-14 clang REQUIRED)
find_program(LLVM_STRIP NAMES llvm-strip-14 llvm-strip REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)
set(BPF_OUT ${CMAKE_BINARY_DIR}/bpf)
file(MAKE_DIRECTORY ${BPF_OUT})

set(bpf_skeletons "")
function(ankus_bpf name source)
  set(object ${BPF_OUT}/${name}.bpf.o)
  set(skeleton ${BPF_OUT}/${name}.skel.h)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-parameter -Wno-strict-prototypes
            -D__TARGET_ARCH_x86 -I${CMAKE_SOURCE_DIR} -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${object}.d ${ARGN} -c ${CMAKE_SOURCE_DIR}/bpf/${source}.bpf.c -o ${object}
    COMMAND ${LLVM_STRIP} -g ${object}
    DEPENDS ${CMAKE_SOURCE_DIR}/bpf/${source}.bpf.c
    DEPFILE ${object}.d
    COMMENT "BPF ${name}" VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND sh -c "${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}"
    DEPENDS ${object} VERBATIM)
  set(bpf_skeletons ${bpf_skeletons} ${skeleton} PARENT_SCOPE)
endfunction()

ankus_bpf(conntrack_netfilter conntrack)
ankus_bpf(conntrack_trampoline conntrack -DANKUS_TRAMPOLINES)
ankus_bpf(device device)
ankus_bpf(device_tracepoint device_tracepoint)
ankus_bpf(latency latency)
ankus_bpf(tcp_health tcp_health)
add_custom_target(ankus_bpf_skeletons DEPENDS ${bpf_skeletons})
get_target_property(sense_type ankus_sense TYPE)
if(sense_type STREQUAL INTERFACE_LIBRARY)
  target_include_directories(ankus_sense INTERFACE ${BPF_OUT})
else()
  add_dependencies(ankus_sense ankus_bpf_skeletons)
  target_include_directories(ankus_sense PUBLIC ${BPF_OUT})
endif()
