# PVH entry: from the loader's 32-bit hand-over to the first Rust call.
#
# The loader leaves protected mode without paging, flat segments, ebx = hvm_start_info and no stack
# (public/arch-x86/hvm/start_info.h). The map built here is coarse, 4 GiB of writable 2 MiB pages;
# src/image/paging.rs refines it once the amount of RAM is known. An exception before the IDT is loaded
# is a triple fault, so nothing here can fail on purpose.

    .section .note.Xen, "a", @note
    .balign 4
    .long 4                             # size of the name
    .long 8                             # size of the value
    .long {PHYS32_ENTRY}
    .asciz "Xen"
    .quad pvh_start

    .section .text.entry, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    mov esp, offset main_stack_top

    mov edi, offset page_directories
    mov eax, {LARGE_PAGE_RW}
    mov ecx, 4 * 512
1:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    dec ecx
    jnz 1b

    mov edi, offset page_directory_pointers
    mov eax, offset page_directories + {TABLE_RW}
    mov ecx, 4
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    dec ecx
    jnz 2b

    mov edi, offset page_map
    mov dword ptr [edi], offset page_directory_pointers + {TABLE_RW}
    mov cr3, edi

    # Precompiled `core` uses SSE2, so it must work before the first Rust call.
    mov eax, {CR4}
    mov cr4, eax
    mov ecx, {MSR_EFER}
    rdmsr
    or eax, {EFER_LME}
    wrmsr
    mov eax, {CR0}
    mov cr0, eax

    lgdt [gdt_pointer]
    mov eax, offset long_mode
    push {CODE_SELECTOR}
    push eax
    retf

    .code64
long_mode:
    mov eax, {DATA_SELECTOR}
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov esp, offset main_stack_top
    xor ebp, ebp
    mov edi, ebx
    call {start}
    ud2

# The task descriptor is filled in by src/image/segments.rs; `ltr` marks it busy, so the table is writable.
    .section .data.gdt, "aw", @progbits
    .balign 8
    .global gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff            # 0x08: 64-bit code
    .quad 0x00cf93000000ffff            # 0x10: data
    .quad 0, 0                          # 0x18: task state
gdt_pointer:
    .short gdt_pointer - gdt - 1
    .long gdt

    .section .bss.page_tables, "aw", @nobits
    .balign 4096
    .global page_map, page_directory_pointers, page_directories
page_map:
    .skip 4096
page_directory_pointers:
    .skip 4096
page_directories:
    .skip 4 * 4096
