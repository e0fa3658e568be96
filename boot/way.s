# The way from one image to another: copies what it is told to and enters 32-bit code as a PVH loader does.
#
# It runs in a page of its own, outside of all that it overwrites, at an address that is both virtual and physical
# (src/image/low.rs). It depends on nothing else: neither on a stack nor, once paging is off, on tables.
#
# way_start(edi = list, esi = start info, edx = entry). The list is of entries of three numbers of 32 bits, target, source and bytes; source
# 0 means zeros, 0 bytes end it.

    .section .rodata.way, "a", @progbits
    .balign 16
    .global way_start, way_end
    .code64
way_start:
    cli
    cld
    mov ebp, esi
    mov r8d, edx
    sub rsp, 16
    lea rax, [rip + way_gdt]
    mov word ptr [rsp], 23
    mov [rsp + 2], rax
    lgdt [rsp]
    mov edx, r8d
    push 8
    lea rax, [rip + way_flat]
    push rax
    retfq

    .code32
way_flat:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov esp, edx                        # the entry: no stack is needed any more
    mov eax, 0x11                       # protected mode, without paging
    mov cr0, eax
    mov ecx, {MSR_EFER}
    xor eax, eax
    xor edx, edx
    wrmsr
    mov cr4, eax
    mov ebx, edi
1:  mov ecx, [ebx + 8]
    test ecx, ecx
    jz 3f
    mov edi, [ebx]
    mov esi, [ebx + 4]
    add ebx, 12
    mov edx, ecx
    shr ecx, 2
    test esi, esi
    jz 2f
    rep movsd
    mov ecx, edx
    and ecx, 3
    rep movsb
    jmp 1b
2:  xor eax, eax
    rep stosd
    mov ecx, edx
    and ecx, 3
    rep stosb
    jmp 1b
3:  mov ebx, ebp
    jmp esp

    .balign 8
way_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code
    .quad 0x00cf93000000ffff            # 0x10: data
way_end:
    .code64
