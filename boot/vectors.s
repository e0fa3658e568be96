# Exception and interrupt vectors, and the sleep. Interrupts are open there and while serving (src/image/watch.rs); what
# they interrupt goes on as if it had not been.

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
    # Whoever is interrupted may use these registers, too.
    sub rsp, 512
    fxsave [rsp]
    call {exception}
    fxrstor [rsp]
    add rsp, 512
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16                         # the vector and the error code
    iretq

# Goes on with a function that never returns, on the main stack from its top: what was on it is given up.
    .balign 16
    .global on_fresh_stack
on_fresh_stack:
    mov esp, offset main_stack_top
    xor ebp, ebp
    call rdi
    ud2

# Event upcall. The main loop does the scanning; all there is to do is to take back the level-like
# request, or it would be injected again at once. The marks that the main loop looks at stay, so one that comes while it
# serves is found before it sleeps.
#
# An upcall that arrives between `sti` and `hlt` (processors hold it back by the STI shadow, but not every
# emulator restores that shadow after a VM exit) must not be slept on: execution goes on behind the `hlt`.
    .balign 16
    .global upcall_entry
upcall_entry:
    push rax
    movabs rax, {UPCALL_PENDING}
    mov byte ptr [rax], 0
    cmp byte ptr [{SERVING}], 0
    jne 1f
    inc qword ptr [{UPCALLS}]
    cmp qword ptr [{WATCH_END}], 0
    jne 2f
    mov rax, [rsp + 8]
    cmp rax, offset wait_for_upcall
    jb 1f
    cmp rax, offset wait_halt
    ja 1f
    mov qword ptr [rsp + 8], offset wait_done
1:  pop rax
    iretq
# An image on trial.
2:  mov rax, [{WATCH_TOLD}]
    mov qword ptr [rax], 0
    push rdx
    rdtsc
    shl rdx, 32
    or rax, rdx
    pop rdx
    cmp rax, [{WATCH_END}]
    jb 1b
    pop rax
    push 0
    push {OVERDUE}
    jmp exception_common

# The watch's timer: an exception if nothing has been done for too long. It counts on only while serving.
    .balign 16
    .global watch_entry
watch_entry:
    push rax
    push rcx
    push rdx
    mov byte ptr [{ARMED}], 0
    mov ecx, {END_OF_INTERRUPT}
    xor eax, eax
    xor edx, edx
    wrmsr
    cmp byte ptr [{SERVING}], 0
    je 3f
    mov rax, [{PROGRESS}]
    cmp rax, [{SEEN}]
    je 1f
    mov [{SEEN}], rax
    mov dword ptr [{UNCHANGED}], 0
    jmp 2f
1:  inc dword ptr [{UNCHANGED}]
    mov eax, [{UNCHANGED}]
    cmp eax, [{LIMIT}]
    jae 4f
2:  mov byte ptr [{ARMED}], 1
    mov ecx, {INITIAL_COUNT}
    mov eax, {SECOND}
    xor edx, edx
    wrmsr
3:  pop rdx
    pop rcx
    pop rax
    iretq
4:  pop rdx
    pop rcx
    pop rax
    .byte 0x6a, 0                       # push 0
    .byte 0x6a, {WATCH_VECTOR}          # push the vector
    jmp exception_common

# Sleeps until an interrupt. Called and left with interrupts off. Returns 1, or 0 if an upcall came before the
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
