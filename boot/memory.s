# The C memory functions that compiled Rust calls: memcpy, memmove, memset, memcmp, bcmp.
#
# Short blocks, most of a xenstore's, are moved by loads that overlap in the middle, without a loop; long
# ones by `rep` with eight bytes a step. All loads come before all stores where source and target may overlap.

    .section .text.memory, "ax", @progbits
    .code64

# memmove(rdi = target, rsi = source, rdx = bytes) -> target
    .balign 16
    .global memmove, memcpy
memmove:
memcpy:
    mov rax, rdi
    cmp rdx, 16
    ja 5f
    cmp edx, 8
    jae 3f
    cmp edx, 4
    jae 2f
    test edx, edx
    jz 1f
    movzx ecx, byte ptr [rsi]           # 1..=3: first, middle, last
    movzx r8d, byte ptr [rsi + rdx - 1]
    mov r9d, edx
    shr r9d
    movzx r10d, byte ptr [rsi + r9]
    mov [rdi], cl
    mov [rdi + r9], r10b
    mov [rdi + rdx - 1], r8b
1:  ret
2:  mov ecx, [rsi]                      # 4..=7
    mov r8d, [rsi + rdx - 4]
    mov [rdi], ecx
    mov [rdi + rdx - 4], r8d
    ret
3:  mov rcx, [rsi]                      # 8..=16
    mov r8, [rsi + rdx - 8]
    mov [rdi], rcx
    mov [rdi + rdx - 8], r8
    ret
5:  movdqu xmm1, [rsi + rdx - 16]
    cmp rdx, 32
    ja 6f
    movdqu xmm0, [rsi]                  # 17..=32
    movdqu [rdi], xmm0
    movdqu [rdi + rdx - 16], xmm1
    ret
6:  movdqu xmm2, [rsi + rdx - 32]
    cmp rdx, 64
    ja 7f
    movdqu xmm0, [rsi]                  # 33..=64
    movdqu xmm3, [rsi + 16]
    movdqu [rdi], xmm0
    movdqu [rdi + 16], xmm3
    movdqu [rdi + rdx - 32], xmm2
    movdqu [rdi + rdx - 16], xmm1
    ret
7:  mov r8, rdi
    sub r8, rsi
    cmp r8, rdx
    jb 10f                              # the target begins inside the source: copy downwards
    cmp rdx, 512
    ja 9f
    lea r9, [rdi + rdx]                 # 65..=512: 32 bytes a step, the last 32 are in xmm2 and xmm1
8:  movdqu xmm0, [rsi]
    movdqu xmm3, [rsi + 16]
    movdqu [rdi], xmm0
    movdqu [rdi + 16], xmm3
    add rsi, 32
    add rdi, 32
    lea r10, [rdi + 32]
    cmp r10, r9
    jb 8b
    movdqu [r9 - 32], xmm2
    movdqu [r9 - 16], xmm1
    ret
9:  lea r9, [rdi + rdx]
    mov rcx, rdx
    shr rcx, 3
    rep movsq
    movdqu [r9 - 16], xmm1              # the bytes after the last whole eight
    ret
10: movdqu xmm4, [rsi]                  # downwards; the first 32 are in xmm4 and xmm5
    movdqu xmm5, [rsi + 16]
    lea r8, [rdi + 32]
    lea r9, [rdi + rdx]
    lea rsi, [rsi + rdx]
11: movdqu xmm0, [rsi - 16]
    movdqu xmm3, [rsi - 32]
    movdqu [r9 - 16], xmm0
    movdqu [r9 - 32], xmm3
    sub rsi, 32
    sub r9, 32
    cmp r9, r8
    ja 11b
    movdqu [rdi], xmm4
    movdqu [rdi + 16], xmm5
    ret

# memset(rdi = target, esi = byte, rdx = bytes) -> target
    .balign 16
    .global memset
memset:
    mov rax, rdi
    movzx esi, sil
    movabs rcx, 0x0101010101010101
    imul rsi, rcx
    cmp rdx, 16
    ja 3f
    cmp edx, 8
    jae 2f
    cmp edx, 4
    jae 1f
    test edx, edx
    jz 4f
    mov r9d, edx
    shr r9d
    mov [rdi], sil
    mov [rdi + r9], sil
    mov [rdi + rdx - 1], sil
4:  ret
1:  mov [rdi], esi
    mov [rdi + rdx - 4], esi
    ret
2:  mov [rdi], rsi
    mov [rdi + rdx - 8], rsi
    ret
3:  movq xmm0, rsi
    punpcklqdq xmm0, xmm0
    cmp rdx, 32
    ja 5f
    movdqu [rdi], xmm0
    movdqu [rdi + rdx - 16], xmm0
    ret
5:  lea r9, [rdi + rdx]
    cmp rdx, 512
    ja 7f
6:  movdqu [rdi], xmm0
    movdqu [rdi + 16], xmm0
    add rdi, 32
    lea r10, [rdi + 32]
    cmp r10, r9
    jb 6b
    movdqu [r9 - 32], xmm0
    movdqu [r9 - 16], xmm0
    ret
7:  mov r8, rax
    mov rax, rsi
    mov rcx, rdx
    shr rcx, 3
    rep stosq
    movdqu [r9 - 16], xmm0
    mov rax, r8
    ret

# memcmp(rdi, rsi, rdx = bytes) -> negative, 0, positive; bcmp needs less and gets the same
    .balign 16
    .global memcmp, bcmp
memcmp:
bcmp:
    cmp rdx, 8
    jb 4f
    lea r8, [rdx - 8]
    xor edx, edx
1:  cmp rdx, r8
    jae 2f
    mov rax, [rdi + rdx]
    mov rcx, [rsi + rdx]
    add rdx, 8
    cmp rax, rcx
    je 1b
    jmp 3f
2:  mov rax, [rdi + r8]                 # the last eight, the first of which may have been found equal
    mov rcx, [rsi + r8]
    cmp rax, rcx
    je 7f
3:  bswap rax                           # the first differing byte decides
    bswap rcx
    cmp rax, rcx
    sbb eax, eax
    or eax, 1
    ret
4:  cmp edx, 4
    jb 5f
    mov eax, [rdi]                      # 4..=7
    mov ecx, [rsi]
    cmp eax, ecx
    jne 6f
    mov eax, [rdi + rdx - 4]
    mov ecx, [rsi + rdx - 4]
    cmp eax, ecx
    je 7f
6:  bswap eax
    bswap ecx
    cmp eax, ecx
    sbb eax, eax
    or eax, 1
    ret
5:  test edx, edx
    jz 7f
    movzx eax, byte ptr [rdi]           # 1..=3: first, middle, last
    movzx ecx, byte ptr [rsi]
    sub eax, ecx
    jne 8f
    mov r8d, edx
    shr r8d
    movzx eax, byte ptr [rdi + r8]
    movzx ecx, byte ptr [rsi + r8]
    sub eax, ecx
    jne 8f
    movzx eax, byte ptr [rdi + rdx - 1]
    movzx ecx, byte ptr [rsi + rdx - 1]
    sub eax, ecx
    ret
7:  xor eax, eax
8:  ret
