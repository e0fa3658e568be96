# Exception and upcall vectors, and the one place where interrupts are open.

    .section .text.vectors, "ax", @progbits
    .code64

# One stub per exception, 16 bytes apart: src/image/segments.rs computes their addresses. Each makes the
# same frame, with a zero where the processor pushes no error code.
    .balign 16
    .global exception_stubs
exception_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    .byte 0x6a, 0                       # push 0
    .endif
    .byte 0x6a, vector                  # push the vector
    jmp exception_common
    .set vector, vector + 1
    .endr

    .balign 16
exception_common:
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    call {exception}
    ud2

# Event upcall. The main loop does the scanning; all there is to do is to take back the level-like
# request, or it would be injected again at once.
#
# An upcall that arrives between `sti` and `hlt` (processors hold it back by the STI shadow, but not every
# emulator restores that shadow after a VM exit) must not be slept on: execution goes on behind the `hlt`.
    .balign 16
    .global upcall_entry
upcall_entry:
    push rax
    movabs rax, {UPCALL_PENDING}
    mov byte ptr [rax], 0
    inc qword ptr [{UPCALLS}]
    mov rax, [rsp + 8]
    cmp rax, offset wait_for_upcall
    jb 1f
    cmp rax, offset wait_halt
    ja 1f
    mov qword ptr [rsp + 8], offset wait_done
1:  pop rax
    iretq

# Sleeps until an upcall. Called and left with interrupts off. Returns 1, or 0 if an upcall came before the
# processor slept.
    .balign 16
    .global wait_for_upcall
wait_for_upcall:
    xor eax, eax
    sti
wait_halt:
    hlt
    inc eax
wait_done:
    cli
    ret
