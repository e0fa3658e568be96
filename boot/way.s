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
    mov ebx, edi
1:  mov ecx, [ebx + 8]
    test ecx, ecx
    jz 3f
    mov edi, [ebx]
    mov esi, [ebx + 4]
    add ebx, 12
    mov edx, ecx
    and edx, 127
    shr ecx, 7                          # 128 bytes a step
    test esi, esi
    jz 5f
    test ecx, ecx
    jz 4f
2:  movups xmm0, [esi]
    movups xmm1, [esi + 16]
    movups xmm2, [esi + 32]
    movups xmm3, [esi + 48]
    movups xmm4, [esi + 64]
    movups xmm5, [esi + 80]
    movups xmm6, [esi + 96]
    movups xmm7, [esi + 112]
    movups [edi], xmm0
    movups [edi + 16], xmm1
    movups [edi + 32], xmm2
    movups [edi + 48], xmm3
    movups [edi + 64], xmm4
    movups [edi + 80], xmm5
    movups [edi + 96], xmm6
    movups [edi + 112], xmm7
    sub esi, -128
    sub edi, -128
    dec ecx
    jnz 2b
4:  mov ecx, edx
    rep movsb
    jmp 1b
5:  xor eax, eax
    test ecx, ecx
    jz 7f
    xorps xmm0, xmm0
6:  movups [edi], xmm0
    movups [edi + 16], xmm0
    movups [edi + 32], xmm0
    movups [edi + 48], xmm0
    movups [edi + 64], xmm0
    movups [edi + 80], xmm0
    movups [edi + 96], xmm0
    movups [edi + 112], xmm0
    sub edi, -128
    dec ecx
    jnz 6b
7:  mov ecx, edx
    rep stosb
    jmp 1b
3:  xor eax, eax
    mov cr4, eax
    mov ebx, ebp
    jmp esp

    .balign 8
way_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code
    .quad 0x00cf93000000ffff            # 0x10: data
way_end:
    .code64
